"""HTTP: where a serving model comes from, and which serving models came from something."""

from typing import TYPE_CHECKING

import azure.functions as func

from functions.http import answered, found
from shared.app import app

if TYPE_CHECKING:
    from shared.core.events import Person

blueprint = func.Blueprint()


@blueprint.route(route="lineage", methods=["GET"], trigger_arg_name="request")
@answered("read")
def search_lineage(request: func.HttpRequest, _by: "Person | None") -> func.HttpResponse:
    """`?of=KIND:NAME[:VERSION]&top=&continuation=`: the serving models that came from it."""
    return found(app().lineage.leading_from(request.url, request.params))


@blueprint.route(route="lineage/{environment}/{endpoint}", methods=["GET"], trigger_arg_name="request")
@answered("read")
def show_lineage(request: func.HttpRequest, _by: "Person | None") -> func.HttpResponse:
    """What serves the endpoint, and where it comes from."""
    return found(app().lineage.of_endpoint(request.route_params["environment"], request.route_params["endpoint"]))
