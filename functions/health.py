"""HTTP: the health checks of this app."""

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
    """Answer 200 whatever the checks find: restarting the app because of an external fault would not help."""
    return found(app().health.report(by))
