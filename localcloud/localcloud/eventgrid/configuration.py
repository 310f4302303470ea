"""The form of the Event Grid part's `--config` file. Fields and defaults follow an Azure event subscription's."""

from collections import Counter
from collections.abc import Iterable
from typing import Self

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from localcloud.configuration_file import Section
from localcloud.eventgrid.events import Schema

#: What `--help` shows; docs/parts.md has all keys.
EXAMPLE = """\
topics: [{name: my-topic, key: some-secret}]
subscriptions:
  - {name: my-subscription, topic: my-topic, endpoint: "http://127.0.0.1:8000/events", included_event_types: [A.B]}
"""

#: Azure's retry schedule in seconds; the last pause is repeated.
AZURE_RETRY_PAUSES = (10.0, 30.0, 60.0, 300.0, 600.0, 1800.0, 3600.0, 10800.0, 21600.0, 43200.0)


class Topic(Section):
    """Where events are published with a key."""

    name: str = Field(pattern=r"^[A-Za-z0-9-]{3,50}$")
    key: str = Field(min_length=1)
    #: The resource whose system topic it is, which fills the `topic` of an event that has none; events of another
    #: resource are refused. Without it, it is a custom topic, whose name fills it.
    source: str = ""

    @property
    def topic_of_events(self) -> str:
        """The `topic` of events that name none."""
        return self.source or self.name


class Subscription(Section):
    """Which events of a topic go to which webhook, and how often to retry."""

    name: str = Field(pattern=r"^[A-Za-z0-9-]{3,64}$")
    topic: str
    endpoint: str = Field(pattern=r"^https?://")
    #: The schema that events are delivered in, whichever they were published in.
    schema_: Schema = Field(default=Schema.EVENT_GRID, alias="schema")
    #: Empty: all types.
    included_event_types: tuple[str, ...] = ()
    subject_begins_with: str = ""
    subject_ends_with: str = ""
    max_delivery_attempts: int = Field(default=30, ge=1, le=30)
    event_time_to_live_minutes: PositiveFloat = Field(default=1440, le=1440)
    max_events_per_batch: int = Field(default=1, ge=1, le=5000)
    preferred_batch_size_in_kilobytes: int = Field(default=64, ge=1, le=1024)
    #: Maximum number of concurrent requests to the endpoint.
    concurrent_deliveries: PositiveInt = 16


class EventGridConfiguration(Section):
    """All topics and subscriptions of one Event Grid part."""

    topics: tuple[Topic, ...] = Field(min_length=1)
    subscriptions: tuple[Subscription, ...] = ()
    #: Seconds before the second attempt, the third, and so on; the last one is repeated.
    retry_pauses: tuple[PositiveFloat, ...] = Field(default=AZURE_RETRY_PAUSES, min_length=1)

    @field_validator("topics", "subscriptions")
    @classmethod
    def _names_are_unique(cls, named: tuple[Topic | Subscription, ...]) -> tuple[Topic | Subscription, ...]:
        if repeated := _repeated(one.name for one in named):
            raise ValueError(f"names used more than once: {', '.join(repeated)}")
        return named

    @model_validator(mode="after")
    def _subscriptions_name_topics(self) -> Self:
        topics = {topic.name for topic in self.topics}
        faults = [
            f"subscriptions[{place}].topic: there is no topic {subscription.topic!r}"
            for place, subscription in enumerate(self.subscriptions)
            if subscription.topic not in topics
        ]
        if faults:
            raise ValueError("; ".join(faults))
        return self


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]
