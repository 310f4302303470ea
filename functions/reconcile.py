"""Timers: for what was lost on the way."""

import azure.functions as func

from shared.app import app

blueprint = func.Blueprint()


@blueprint.timer_trigger(arg_name="timer", schedule="0 * * * * *")
def reconcile(timer: func.TimerRequest) -> None:
    """Every minute: lanes whose answer is overdue."""
    app().coordinator.reconcile()


@blueprint.timer_trigger(arg_name="timer", schedule="0 */15 * * * *")
def catch_up(timer: func.TimerRequest) -> None:
    """Every quarter of an hour: registrations whose notification never came."""
    app().coordinator.catch_up()
