"""HTTP: holds that operators set on a route, a model, a stage, or everything."""

from typing import TYPE_CHECKING

import azure.functions as func

from functions.http import accepted, answered, found
from shared.app import app

if TYPE_CHECKING:
    from shared.core.events import Person

blueprint = func.Blueprint()


@blueprint.route(route="holds", methods=["GET"], trigger_arg_name="request")
@answered("read")
def list_holds(request: func.HttpRequest, _by: "Person | None") -> func.HttpResponse:
    """The holds in force, and what happened to holds."""
    return found(app().hold_requests.list())


@blueprint.route(route="holds", methods=["POST"], trigger_arg_name="request")
@answered("steer")
def set_hold(request: func.HttpRequest, by: "Person") -> func.HttpResponse:
    """`{scope, reason, until?}`: no promotion enters what the scope names."""
    return accepted(app().hold_requests.hold(request.get_body(), by))


@blueprint.route(route="holds/release", methods=["POST"], trigger_arg_name="request")
@answered("steer")
def release_hold(request: func.HttpRequest, by: "Person") -> func.HttpResponse:
    """`{scope, reason}`: release the hold on exactly this scope."""
    return accepted(app().hold_requests.release(request.get_body(), by))
