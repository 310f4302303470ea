"""HTTP: approval requests and decisions in an environment that takes its approvals itself."""

from typing import TYPE_CHECKING

import azure.functions as func

from functions.http import Handler, accepted, answered, found
from shared.app import app

if TYPE_CHECKING:
    from shared.core.events import Person

blueprint = func.Blueprint()


@blueprint.route(route="approvals", methods=["GET"], trigger_arg_name="request")
@answered("read")
def list_approvals(request: func.HttpRequest, by: "Person | None") -> func.HttpResponse:
    """List what waits for approval here, in order of expiry."""
    return found(app().approval_requests.waiting())


@blueprint.route(route="approvals/openapi.json", methods=["GET"], trigger_arg_name="request")
@answered("read")
def describe_approvals_api(_request: func.HttpRequest, _by: "Person | None") -> func.HttpResponse:
    """Describe the API, for people and for tools that generate clients or tests."""
    from shared.http import openapi

    return found(openapi.approvals_document())


@blueprint.route(route="approvals/{promotion}/{stage}", methods=["GET"], trigger_arg_name="request")
@answered("read")
def show_approval(request: func.HttpRequest, by: "Person | None") -> func.HttpResponse:
    """Show what people are asked to approve, and their decisions."""
    return found(app().approval_requests.one(request.route_params["promotion"], request.route_params["stage"]))


def _decision(decision: str) -> Handler:
    def decide(request: func.HttpRequest, by: "Person") -> func.HttpResponse:
        which = request.route_params["promotion"], request.route_params["stage"]
        return accepted(app().approval_requests.decide(decision, *which, request.get_body(), by))

    decide.__name__ = f"{decision}_here"
    return answered("decide")(decide)


for name in ("approve", "reject"):
    deciding = _decision(name)
    route = blueprint.route(
        route=f"approvals/{{promotion}}/{{stage}}/{name}", methods=["POST"], trigger_arg_name="request"
    )
    blueprint.function_name(deciding.__name__)(route(deciding))
