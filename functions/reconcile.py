"""Timers that recover what was lost."""

import azure.functions as func

from shared.app import app

blueprint = func.Blueprint()


@blueprint.timer_trigger(arg_name="timer", schedule="0 * * * * *")
def reconcile(timer: func.TimerRequest) -> None:
    """Every minute: wake lanes whose answer is overdue."""
    app().coordinator.reconcile()


@blueprint.timer_trigger(arg_name="timer", schedule="0 */15 * * * *")
def catch_up(timer: func.TimerRequest) -> None:
    """Every 15 minutes: look for registrations whose notification never arrived."""
    app().coordinator.catch_up()
