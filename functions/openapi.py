"""HTTP: the description of the API."""

import azure.functions as func

from functions.http import answered, found

blueprint = func.Blueprint()


@blueprint.route(route="openapi.json", methods=["GET"], trigger_arg_name="request")
@answered
def describe_api(request: func.HttpRequest) -> func.HttpResponse:
    """For people, and for tools that make clients or tests of it."""
    from shared.http import openapi

    return found(openapi.document())
