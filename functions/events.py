"""Event Grid: a workspace has a new model version, or one of its jobs has ended. Azure Monitor: an alert.

Uses no Event Grid trigger: with one, the host answers 500 to a malformed event, which is then delivered again for a
day. Always requires a function key: Event Grid has no other way to identify itself here.
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
    """Answer 202 if all events were accepted, else 400 or 503 with a problem document."""
    from shared.http import event_requests
    from shared.http.refusals import RefusedError

    if request.method == "OPTIONS":
        return func.HttpResponse(status_code=200, headers=event_requests.allowed(request.headers))
    try:
        kind, coordinator = request.headers.get("aeg-event-type", ""), app().coordinator
        answer = event_requests.take(kind, request.get_body(), coordinator.intake, coordinator.take_alert)
    except RefusedError as refusal:
        log.warning("refused events with %d: %s", refusal.status, refusal)
        return problem(refusal)
    if answer is None:
        return func.HttpResponse(status_code=202)
    return func.HttpResponse(json.dumps(answer), mimetype="application/json")
