"""HTTP: what an environment that takes its approvals itself asks people, and their word. Only where one does."""

import azure.functions as func

from functions.http import Handler, accepted, answered, caller, found
from shared.app import app

blueprint = func.Blueprint()


@blueprint.route(route="approvals", methods=["GET"], trigger_arg_name="request")
@answered
def list_approvals(request: func.HttpRequest) -> func.HttpResponse:
    """What waits for approval here, in the order in which its time runs out."""
    return found(app().approval_requests.waiting())


@blueprint.route(route="approvals/{promotion}/{stage}", methods=["GET"], trigger_arg_name="request")
@answered
def show_approval(request: func.HttpRequest) -> func.HttpResponse:
    """What people are asked to approve, and what they said."""
    return found(app().approval_requests.one(request.route_params["promotion"], request.route_params["stage"]))


def _decision(decision: str) -> Handler:
    def decide(request: func.HttpRequest) -> func.HttpResponse:
        which = request.route_params["promotion"], request.route_params["stage"]
        return accepted(app().approval_requests.decide(decision, *which, request.get_body(), caller(request)))

    decide.__name__ = f"{decision}_here"
    return decide


for name in ("approve", "reject"):
    deciding = _decision(name)
    route = blueprint.route(
        route=f"approvals/{{promotion}}/{{stage}}/{name}", methods=["POST"], trigger_arg_name="request"
    )
    blueprint.function_name(deciding.__name__)(route(answered(deciding)))
