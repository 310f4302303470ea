"""Event Grid: a workspace has a new model version, or one of its jobs has ended."""

from typing import Any

import azure.functions as func

from shared.app import app

blueprint = func.Blueprint()


@blueprint.event_grid_trigger(arg_name="event")
def intake(event: func.EventGridEvent) -> None:
    """Receive both schemas: the library passes a CloudEvent if the body is one."""
    # Azure's worker may load its own library, older than 1.25, which has no CloudEvent.
    cloud_event: Any = getattr(func, "CloudEvent", None)
    if cloud_event is not None and isinstance(event, cloud_event):
        app().coordinator.intake(event.source, event.type, event.get_json())
    else:
        app().coordinator.intake(event.topic, event.event_type, event.get_json())
