"""HTTP: what serves each stage, what is under way, and holds."""

from typing import TYPE_CHECKING
from urllib.parse import unquote

import azure.functions as func

from functions.http import accepted, answered, found
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
    # Some hosts leave the slash in the name of a published route escaped.
    lane = (unquote(request.route_params[name]) for name in ("route", "model", "stage"))
    return accepted(app().requests.release(*lane, request.get_body(), by))


@blueprint.route(route="routes/{route}/stages/{stage}/run", methods=["POST"], trigger_arg_name="request")
@answered("start")
def run_stage(request: func.HttpRequest, by: "Person | None") -> func.HttpResponse:
    """`{reason}`: run the pipeline that serves the stage there again, now."""
    which = unquote(request.route_params["route"]), request.route_params["stage"]
    return accepted(app().requests.run(*which, request.get_body(), by))
