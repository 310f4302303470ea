"""HTTP: what became of each promotion."""

import azure.functions as func

from functions.http import found, problem
from shared.app import app

blueprint = func.Blueprint()


@blueprint.route(route="promotions", methods=["GET"], trigger_arg_name="request")
def list_promotions(request: func.HttpRequest) -> func.HttpResponse:
    """`?route=&model=&environment=&status=&top=&continuation=`, newest first."""
    try:
        return found(app().promotions(request.url, request.params))
    except ValueError as fault:
        return problem(400, "Bad query", str(fault))


@blueprint.route(route="promotions/{id}", methods=["GET"], trigger_arg_name="request")
def show_promotion(request: func.HttpRequest) -> func.HttpResponse:
    """Status, stages, steps, evidence and journal."""
    promotion = request.route_params["id"]
    details = app().promotion(promotion)
    if details is None:
        return problem(404, "No such promotion", f"There is no promotion {promotion}. GET /api/promotions lists them.")
    return found(details)
