"""Changes of promotions, published as CloudEvents 1.0 to an Event Grid topic for whoever subscribes there.

At least once, as far as the topic can be reached: an event that comes again has the same id, for subscribers to drop.
"""

import logging
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any, TypeAlias
from urllib.parse import quote, urlsplit

from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import AzureError, ServiceRequestError, ServiceResponseError
from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridPublisherClient

from shared.cloud.identity import credential
from shared.config.app_settings import AppSettings
from shared.core import views
from shared.core.journal import JournalEntry
from shared.core.promotion import Lane, Promotion
from shared.ports import TopicUnavailableError

#: Client id of the user-assigned identity that may publish; without it, the system-assigned one does.
IDENTITY = "MLPROMOTE_TOPIC_IDENTITY"
#: In place of an identity, for a topic on this machine.
KEY = "MLPROMOTE_TOPIC_KEY"

Told: TypeAlias = CloudEvent[dict[str, Any]]

TYPE_PREFIX = "mlpromote.promotion."

#: In seconds; with at most two attempts these bound how long a promotion may be held up. They go with each call, since
#: the SDK drops such options of the client; that it warns of them for each event is nothing to know.
_BOUNDS: Mapping[str, Any] = {"connection_timeout": 1, "read_timeout": 2, "retry_total": 0}
logging.getLogger("azure.eventgrid._legacy._generated._serialization").setLevel(logging.ERROR)
#: After trouble nothing is tried for so long; what is to be published waits in memory meanwhile.
PAUSE_SECONDS = 30.0
#: The oldest are given up for newer ones.
MOST_WAITING = 5000
#: A request of so many stays far below Event Grid's 1 MB.
MOST_AT_ONCE = 100
CONNECT_SECONDS = 5.0
#: How it goes is told when it changes, and again after so long: another process may have told otherwise meanwhile.
TOLD_AGAIN_SECONDS = 300.0
#: Of a trouble's text.
LONGEST_TROUBLE = 600

#: Is told how an attempt went: what was wrong, or nothing where it went well. Instances of a Function App come and go,
#: and the one that is asked for the app's health is never the one that publishes.
Tell: TypeAlias = Callable[[str], None]

log = logging.getLogger("mlpromote")


class EventGridTopic:
    """The `Topic` port. May be used by several threads."""

    def __init__(
        self,
        client: EventGridPublisherClient,
        pause_seconds: float = PAUSE_SECONDS,
        endpoint: str = "",
        tell: Tell = lambda trouble: None,
        told_again_seconds: float = TOLD_AGAIN_SECONDS,
    ) -> None:
        """`endpoint`: the topic's publish address, which `check` connects to."""
        self._client = client
        self._endpoint = endpoint
        self._pause_seconds = pause_seconds
        self._lock = Lock()
        self._waiting: deque[Told] = deque(maxlen=MOST_WAITING)
        self._on_their_way = 0  #: taken from those that wait, by any thread, and not accepted yet
        self._not_before = 0.0
        self._in_trouble = False
        self._tell = tell
        self._told_again_seconds = told_again_seconds
        self._told: tuple[bool, float] | None = None  #: whether it was trouble that was told last, and when

    def publish(self, lane: Lane, journal: Sequence[JournalEntry]) -> bool:
        promotions = {promotion.id: promotion for promotion in lane.promotions}
        with self._lock:
            self._waiting += [event_of(promotions[entry.promotion], entry) for entry in journal]
        while events := self._take():
            try:
                self._send(events)
            except AzureError as fault:
                self._put_off(events, fault)
                return False
            finally:
                with self._lock:
                    self._on_their_way -= len(events)
            self._went_well()
        with self._lock:
            return not self._waiting and not self._on_their_way

    def check(self) -> None:
        parts = urlsplit(self._endpoint)
        address = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
        try:
            with socket.create_connection(address, timeout=CONNECT_SECONDS) as connection:
                if parts.scheme == "https":
                    ssl.create_default_context().wrap_socket(connection, server_hostname=parts.hostname).close()
        except OSError as fault:
            raise TopicUnavailableError(f"{self._endpoint} cannot be reached: {fault}") from fault

    def _take(self) -> list[Told]:
        with self._lock:
            if time.monotonic() < self._not_before:
                return []
            taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_AT_ONCE))]
            self._on_their_way += len(taken)
            return taken

    def _send(self, events: Sequence[Told]) -> None:
        try:
            self._client.send(list(events), **_BOUNDS)
        except (ServiceRequestError, ServiceResponseError):  # as from a connection that was closed while it was idle
            self._client.send(list(events), **_BOUNDS)

    def _put_off(self, events: Sequence[Told], fault: AzureError) -> None:
        with self._lock:
            room = MOST_WAITING - len(self._waiting)
            self._waiting.extendleft(reversed(events[-room:] if room else []))
            self._not_before = time.monotonic() + self._pause_seconds
            told, self._in_trouble = self._in_trouble, True
        if not told:
            log.warning("changes of promotions cannot be published just now, and wait: %s", fault)
        self._tell_how_it_goes(" ".join(str(fault).split())[:LONGEST_TROUBLE] or type(fault).__name__)

    def _went_well(self) -> None:
        with self._lock:
            was_in_trouble, self._in_trouble = self._in_trouble, False
        if was_in_trouble:
            log.info("changes of promotions can be published again")
        self._tell_how_it_goes("")

    def _tell_how_it_goes(self, trouble: str) -> None:
        now = time.monotonic()
        with self._lock:
            if self._told and self._told[0] is bool(trouble) and now < self._told[1] + self._told_again_seconds:
                return
            self._told = bool(trouble), now
        self._tell(trouble)


def event_of(promotion: Promotion, entry: JournalEntry) -> Told:
    """The event that tells of one line of a promotion's journal; its id is the same each time."""
    lane = promotion.lane
    places = ["routes", lane.route, lane.model, "promotions", promotion.id]
    if entry.stage:
        places += ["stages", entry.stage]
    return CloudEvent(
        source=f"/mlpromote/routes/{quote(lane.route)}/{quote(lane.model)}",
        type=TYPE_PREFIX + entry.what,
        subject="/".join(places),
        id=f"{promotion.id}:{entry.number}",
        time=entry.at,
        data={
            "promotion": views.summary(promotion),
            "number": entry.number,
            "stage": entry.stage or None,
            "step": entry.step or None,
            "what": entry.what,
            "text": entry.text,
            "who": entry.who or None,
        },
    )


def connect(settings: AppSettings, tell: Tell = lambda trouble: None) -> EventGridTopic:
    """The topic of the app's settings, with the key or the identity in the app's settings."""
    key = settings.topic_key
    identity = AzureKeyCredential(key) if key else credential(settings.topic_identity or None)
    endpoint = settings.topic_endpoint
    return EventGridTopic(EventGridPublisherClient(endpoint, identity), endpoint=endpoint, tell=tell)
