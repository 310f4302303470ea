"""HTTP: whether this app can do its work."""

from typing import TYPE_CHECKING

import azure.functions as func

from functions.http import answered, found
from shared.app import app

if TYPE_CHECKING:
    from shared.core.events import Person

blueprint = func.Blueprint()


@blueprint.route(route="health", methods=["GET"], trigger_arg_name="request")
@answered("inspect")
def show_health(request: func.HttpRequest, by: "Person | None") -> func.HttpResponse:
    """200 whatever is found: a probe that restarts the app for a fault outside of it would help nobody."""
    return found(app().health.report(by))
