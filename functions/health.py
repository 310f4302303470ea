"""HTTP: whether this app can do its work."""

import azure.functions as func

from functions.http import answered, caller, found
from shared.app import app

blueprint = func.Blueprint()


@blueprint.route(route="health", methods=["GET"], trigger_arg_name="request")
@answered
def show_health(request: func.HttpRequest) -> func.HttpResponse:
    """200 whatever is found: a probe that restarts the app for a fault outside of it would help nobody."""
    return found(app().health.report(caller(request)))
