"""HTTP: what serves each stage, what is under way, and holds."""

from typing import TYPE_CHECKING

import azure.functions as func

from functions.http import accepted, answered, found, named
from shared.app import app

if TYPE_CHECKING:
    from shared.core.events import Person

blueprint = func.Blueprint()


@blueprint.route(route="routes", methods=["GET"], trigger_arg_name="request")
@answered("read")
def list_routes(request: func.HttpRequest, _by: "Person | None") -> func.HttpResponse:
    """`?route=&model=&top=&continuation=`, ordered by name."""
    return found(app().requests.routes(request.url, request.params))


@blueprint.route(route="routes/{route}/{model}/stages/{stage}/release", methods=["POST"], trigger_arg_name="request")
@answered("steer")
def release_stage(request: func.HttpRequest, by: "Person") -> func.HttpResponse:
    """Release the hold: new promotions may enter the stage again."""
    lane = named(request, "route", "model", "stage")
    return accepted(app().requests.release(*lane, request.get_body(), by))


@blueprint.route(route="routes/{route}/stages/{stage}/run", methods=["POST"], trigger_arg_name="request")
@answered("start")
def run_stage(request: func.HttpRequest, by: "Person | None") -> func.HttpResponse:
    """`{reason}`: run the pipeline that serves the stage there again, now."""
    return accepted(app().requests.run(*named(request, "route", "stage"), request.get_body(), by))
