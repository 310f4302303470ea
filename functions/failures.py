"""HTTP: what failed, and its replay."""

import azure.functions as func

from functions.http import answered, caller, found
from shared.app import app

blueprint = func.Blueprint()


@blueprint.route(route="failures", methods=["GET"], trigger_arg_name="request")
@answered
def list_failures(request: func.HttpRequest) -> func.HttpResponse:
    """`?queue=&route=&model=&environment=&step=&class=&top=&continuation=`."""
    return found(app().failures.failures(request.url, request.params))


@blueprint.route(route="failures/replay", methods=["POST"], trigger_arg_name="request")
@answered
def replay_failures(request: func.HttpRequest) -> func.HttpResponse:
    """`{ids | filter, dry_run?, from_step?, reason}`."""
    return found(app().failures.replay(request.get_body(), caller(request)))
