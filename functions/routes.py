"""HTTP: what serves each stage, what is on its way there, and holds."""

import azure.functions as func

from functions.http import accepted, answered, caller, found
from shared.app import app

blueprint = func.Blueprint()


@blueprint.route(route="routes", methods=["GET"], trigger_arg_name="request")
@answered
def list_routes(request: func.HttpRequest) -> func.HttpResponse:
    """`?route=&model=&top=&continuation=`, in the order of their names."""
    return found(app().requests.routes(request.url, request.params))


@blueprint.route(route="routes/{route}/{model}/stages/{stage}/release", methods=["POST"], trigger_arg_name="request")
@answered
def release_stage(request: func.HttpRequest) -> func.HttpResponse:
    """Take the hold away: new promotions may enter the stage again."""
    lane = (request.route_params[name] for name in ("route", "model", "stage"))
    return accepted(app().requests.release(*lane, request.get_body(), caller(request)))
