"""HTTP: what became of each promotion; start one, and steer it."""

import azure.functions as func

from functions.http import Handler, accepted, answered, caller, found, path_of
from shared.app import app

blueprint = func.Blueprint()


@blueprint.route(route="promotions", methods=["GET"], trigger_arg_name="request")
@answered
def list_promotions(request: func.HttpRequest) -> func.HttpResponse:
    """`?route=&model=&environment=&status=&top=&continuation=`, newest first."""
    return found(app().requests.promotions(request.url, request.params))


@blueprint.route(route="promotions", methods=["POST"], trigger_arg_name="request")
@answered
def start_promotion(request: func.HttpRequest) -> func.HttpResponse:
    """`{model, version, source?, route?, through?, reason}`, with an `Idempotency-Key` if the caller may ask again."""
    key = request.headers.get("Idempotency-Key")
    promotion = app().requests.start(request.get_body(), caller(request), key)
    return accepted(promotion, location=f"{path_of(request)}/{promotion['id']}")


@blueprint.route(route="promotions/{id}", methods=["GET"], trigger_arg_name="request")
@answered
def show_promotion(request: func.HttpRequest) -> func.HttpResponse:
    """Status, what it waits for, stages, steps, evidence, approvals and journal."""
    return found(app().requests.promotion(request.route_params["id"]))


@blueprint.route(route="promotions/{id}/trace", methods=["GET"], trigger_arg_name="request")
@answered
def show_trace(request: func.HttpRequest) -> func.HttpResponse:
    """What the functions did for it, and for how long, as far as this app keeps that itself."""
    return found(app().requests.trace(request.route_params["id"]))


def _steering(action: str) -> Handler:
    def steer(request: func.HttpRequest) -> func.HttpResponse:
        promotion = request.route_params["id"]
        return accepted(app().requests.act(action, promotion, request.get_body(), caller(request)))

    steer.__name__ = f"{action.replace('-', '_')}_promotion"
    return steer


for name in ("approve", "reject", "cancel", "roll-back", "abandon", "retry"):
    steering = _steering(name)
    route = blueprint.route(route=f"promotions/{{id}}/{name}", methods=["POST"], trigger_arg_name="request")
    blueprint.function_name(steering.__name__)(route(answered(steering)))
