"""Writes undeliverable events to `dead-letters/SUBSCRIPTION.jsonl`: one a line, in Azure's dead-letter form."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from localcloud.eventgrid.events import Schema
from localcloud.eventgrid.store import Delivery


class DeadLetters:
    """The dead-letter files of all subscriptions. An event may appear twice if the process dies right after writing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, subscription: str, schema: Schema, deliveries: list[tuple[Delivery, str]]) -> None:
        """Appends deliveries, each with its `deadLetterReason`, to the subscription's file."""
        self._folder.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(_dead_letter(delivery, schema, reason)) + "\n" for delivery, reason in deliveries]
        with (self._folder / f"{subscription}.jsonl").open("a", encoding="utf-8") as file:
            file.write("".join(lines))


def _dead_letter(delivery: Delivery, schema: Schema, reason: str) -> dict[str, Any]:
    """The event with what Event Grid adds; names are in lower case in a CloudEvent, whose specification wants that."""
    outcome = delivery.last_outcome
    added = {
        "deadLetterReason": reason,
        "deliveryAttempts": delivery.attempts,
        "lastDeliveryOutcome": None if outcome is None else outcome.name,
        "lastHttpStatusCode": None if outcome is None else outcome.status,
        "publishTime": _time(delivery.published),
        "lastDeliveryAttemptTime": None if delivery.last_attempt is None else _time(delivery.last_attempt),
    }
    known = {name: value for name, value in added.items() if value is not None}
    if schema is Schema.CLOUD_EVENTS:
        known = {name.lower(): value for name, value in known.items()}
    return {**delivery.event.rendered(schema), **known}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
