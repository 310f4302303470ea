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


@blueprint.timer_trigger(arg_name="timer", schedule="0 5/15 * * * *")
def start_runs(timer: func.TimerRequest) -> None:
    """Every quarter of an hour: pipelines that are to run again."""
    app().coordinator.start_runs()
