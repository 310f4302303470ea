"""HTTP: list and show promotions, start one, and steer it."""

from typing import TYPE_CHECKING

import azure.functions as func

from functions.http import Handler, accepted, answered, found, named, path_of
from shared.app import app

if TYPE_CHECKING:
    from shared.core.events import Person
    from shared.http.authorisation import InPerson

blueprint = func.Blueprint()


@blueprint.route(route="promotions", methods=["GET"], trigger_arg_name="request")
@answered("read")
def list_promotions(request: func.HttpRequest, _by: "Person | None") -> func.HttpResponse:
    """`?route=&model=&environment=&status=&top=&continuation=`, newest first."""
    return found(app().requests.promotions(request.url, request.params))


@blueprint.route(route="promotions", methods=["POST"], trigger_arg_name="request")
@answered("start")
def start_promotion(request: func.HttpRequest, by: "Person | None") -> func.HttpResponse:
    """`{model, version, source?, route?, through?, reason}`, with an `Idempotency-Key` if the caller may repeat it."""
    key = request.headers.get("Idempotency-Key")
    promotion = app().requests.start(request.get_body(), by, key)
    return accepted(promotion, location=f"{path_of(request)}/{promotion['id']}")


@blueprint.route(route="plans/{model}/{version}", methods=["GET"], trigger_arg_name="request")
@answered("read")
def show_plan(request: func.HttpRequest, _by: "Person | None") -> func.HttpResponse:
    """`?route=&source=&through=`: what would happen to this version, if its promotion started now."""
    return found(app().plans.plan(*named(request, "model", "version"), request.params))


@blueprint.route(route="promotions/{id}", methods=["GET"], trigger_arg_name="request")
@answered("read")
def show_promotion(request: func.HttpRequest, _by: "Person | None") -> func.HttpResponse:
    """Show status, what it waits for, stages, steps, evidence, approvals and journal."""
    return found(app().requests.promotion(request.route_params["id"]))


@blueprint.route(route="promotions/{id}/trace", methods=["GET"], trigger_arg_name="request")
@answered("read")
def show_trace(request: func.HttpRequest, _by: "Person | None") -> func.HttpResponse:
    """Show what the functions did for it and for how long, if this app stores that itself."""
    return found(app().requests.trace(request.route_params["id"]))


@blueprint.route(route="promotions/{id}/series", methods=["GET"], trigger_arg_name="request")
@answered("read")
def show_series(request: func.HttpRequest, _by: "Person | None") -> func.HttpResponse:
    """Show the live figures of the last day of each stage, minute by minute."""
    return found(app().series_requests.of(request.route_params["id"]))


def _steering(action: str, operation: "InPerson") -> Handler:
    def steer(request: func.HttpRequest, by: "Person") -> func.HttpResponse:
        promotion = request.route_params["id"]
        return accepted(app().requests.act(action, promotion, request.get_body(), by))

    steer.__name__ = f"{action.replace('-', '_')}_promotion"
    return answered(operation)(steer)


ACTIONS: "dict[str, InPerson]" = {
    "approve": "decide",
    "reject": "decide",
    "cancel": "steer",
    "roll-back": "steer",
    "abandon": "steer",
    "retire": "steer",
    "retry": "steer",
}
for name, operation in ACTIONS.items():
    steering = _steering(name, operation)
    route = blueprint.route(route=f"promotions/{{id}}/{name}", methods=["POST"], trigger_arg_name="request")
    blueprint.function_name(steering.__name__)(route(steering))
