"""Event Grid: a workspace has a new model version, or a job of it has ended.

Not by an Event Grid trigger: with one, the host answers 500 to a malformed event, which then comes again for a day.
Always takes a function key: Event Grid has no other way to say who it is.
"""

import json
import logging

import azure.functions as func

from functions.http import problem
from shared.app import app

log = logging.getLogger("mlpromote")

blueprint = func.Blueprint()


@blueprint.route(
    route="events", methods=["POST", "OPTIONS"], trigger_arg_name="request", auth_level=func.AuthLevel.FUNCTION
)
def take_events(request: func.HttpRequest) -> func.HttpResponse:
    """202 when all were taken; 400 and 503 with a problem document."""
    from shared.http import event_requests
    from shared.http.refusals import RefusedError

    if request.method == "OPTIONS":
        return func.HttpResponse(status_code=200, headers=event_requests.allowed(request.headers))
    try:
        answer = event_requests.take(
            request.headers.get("aeg-event-type", ""), request.get_body(), app().coordinator.intake
        )
    except RefusedError as refusal:
        log.warning("events were refused with %d: %s", refusal.status, refusal)
        return problem(refusal)
    if answer is None:
        return func.HttpResponse(status_code=202)
    return func.HttpResponse(json.dumps(answer), mimetype="application/json")
