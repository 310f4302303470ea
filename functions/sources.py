"""HTTP: what teams have published, and publishing. Timer: take it up."""

from typing import TYPE_CHECKING

import azure.functions as func

from functions.http import answered, found
from shared.app import app

if TYPE_CHECKING:
    from shared.core.events import Person

blueprint = func.Blueprint()


@blueprint.timer_trigger(arg_name="timer", schedule="30 * * * * *")
def take_up_bundles(timer: func.TimerRequest) -> None:
    """Every minute: notice a broken bundle even if nothing else happens."""
    app().take_up_bundles()


@blueprint.route(route="sources", methods=["GET"], trigger_arg_name="request")
@answered("read")
def list_sources(_request: func.HttpRequest, _by: "Person | None") -> func.HttpResponse:
    """What counts of each source, since when, by whom."""
    return found(app().publishing.sources())


@blueprint.route(route="sources/{source}", methods=["GET"], trigger_arg_name="request")
@answered("read")
def show_source(request: func.HttpRequest, _by: "Person | None") -> func.HttpResponse:
    """One source, with its earlier publications."""
    return found(app().publishing.source(request.route_params["source"]))


@blueprint.route(route="sources/{source}/bundles/{digest}", methods=["PUT"], trigger_arg_name="request")
@answered("publish")
def keep_bundle(request: func.HttpRequest, by: "Person") -> func.HttpResponse:
    """A ZIP archive: store it under its digest."""
    which = request.route_params["source"], request.route_params["digest"]
    return found(app().publishing.keep(*which, request.get_body(), by))


@blueprint.route(route="sources/{source}/preview", methods=["POST"], trigger_arg_name="request")
@answered("publish")
def preview_source(request: func.HttpRequest, by: "Person") -> func.HttpResponse:
    """`{digest}`: what publishing this bundle would change."""
    return found(app().publishing.preview(request.route_params["source"], request.get_body(), by))


@blueprint.route(route="sources/{source}/publish", methods=["POST"], trigger_arg_name="request")
@answered("publish")
def publish_source(request: func.HttpRequest, by: "Person") -> func.HttpResponse:
    """`{digest, expected, reason}`: let this bundle count, if `expected` still does."""
    return found(app().publishing.publish(request.route_params["source"], request.get_body(), by))
