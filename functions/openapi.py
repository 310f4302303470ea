"""HTTP: the description of the API."""

from typing import TYPE_CHECKING

import azure.functions as func

from functions.http import answered, found

if TYPE_CHECKING:
    from shared.core.events import Person

blueprint = func.Blueprint()


@blueprint.route(route="openapi.json", methods=["GET"], trigger_arg_name="request")
@answered("read")
def describe_api(_request: func.HttpRequest, _by: "Person | None") -> func.HttpResponse:
    """Describe the API, for people and for tools that generate clients or tests."""
    from shared.http import openapi

    return found(openapi.document())
