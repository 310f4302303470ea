"""HTTP: list failures, replay them, discard dead letters."""

from typing import TYPE_CHECKING

import azure.functions as func

from functions.http import answered, found
from shared.app import app

if TYPE_CHECKING:
    from shared.core.events import Person

blueprint = func.Blueprint()


@blueprint.route(route="failures", methods=["GET"], trigger_arg_name="request")
@answered("read")
def list_failures(request: func.HttpRequest, _by: "Person | None") -> func.HttpResponse:
    """`?queue=&route=&model=&environment=&step=&class=&top=&continuation=`."""
    return found(app().failures.failures(request.url, request.params))


@blueprint.route(route="failures/replay", methods=["POST"], trigger_arg_name="request")
@answered("steer")
def replay_failures(request: func.HttpRequest, by: "Person") -> func.HttpResponse:
    """`{ids | filter, dry_run?, from_step?, reason}`."""
    return found(app().failures.replay(request.get_body(), by))


@blueprint.route(route="failures/discard", methods=["POST"], trigger_arg_name="request")
@answered("steer")
def discard_failures(request: func.HttpRequest, by: "Person") -> func.HttpResponse:
    """`{ids | filter, dry_run?, reason}`."""
    return found(app().failures.discard(request.get_body(), by))


@blueprint.route(route="failures/discarded", methods=["GET"], trigger_arg_name="request")
@answered("read")
def list_discarded(request: func.HttpRequest, _by: "Person | None") -> func.HttpResponse:
    """`?top=&continuation=`."""
    return found(app().failures.discarded(request.url, request.params))
