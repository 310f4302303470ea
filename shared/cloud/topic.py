"""Publishes changes of promotions as CloudEvents 1.0 to an Event Grid topic.

Delivers at least once while the topic can be reached. A repeated event has the same id, so subscribers can drop it.
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
from shared.core.holds import HoldLine
from shared.core.journal import JournalEntry
from shared.core.promotion import Lane, Promotion
from shared.ports import TopicUnavailableError

#: Client id of the user-assigned identity that may publish. Default: the system-assigned identity.
IDENTITY = "MLPROMOTE_TOPIC_IDENTITY"
#: Used instead of an identity, for a topic on this machine.
KEY = "MLPROMOTE_TOPIC_KEY"

Told: TypeAlias = CloudEvent[dict[str, Any]]

TYPE_PREFIX = "mlpromote.promotion."
SOURCE_REFUSED = "mlpromote.source.refused"
#: Characters of the text of such an event.
LONGEST_TEXT = 4000
HOLD_TYPE_PREFIX = "mlpromote.hold."

#: In seconds. With at most two attempts they bound the delay of a promotion. They are passed with each call, because
#: the SDK drops such options of the client. It warns about them for each event; ignore that.
_BOUNDS: Mapping[str, Any] = {"connection_timeout": 1, "read_timeout": 2, "retry_total": 0}
logging.getLogger("azure.eventgrid._legacy._generated._serialization").setLevel(logging.ERROR)
#: Pause after a failure. Unpublished events wait in memory meanwhile.
PAUSE_SECONDS = 30.0
#: Beyond this, newer events replace the oldest.
MOST_WAITING = 5000
#: A request with this many stays far below Event Grid's 1 MB.
MOST_AT_ONCE = 100
CONNECT_SECONDS = 5.0
#: The result is reported when it changes, and again after this time: another process may have reported something else.
TOLD_AGAIN_SECONDS = 300.0
#: Longest text of a failure.
LONGEST_TROUBLE = 600

#: Receives the result of an attempt: what was wrong, or an empty text. Instances of a Function App come and go, and the
#: one that answers a health request is rarely the one that publishes.
Tell: TypeAlias = Callable[[str], None]

log = logging.getLogger("mlpromote")


class EventGridTopic:
    """The `Topic` port. Thread-safe."""

    def __init__(
        self,
        client: EventGridPublisherClient,
        pause_seconds: float = PAUSE_SECONDS,
        endpoint: str = "",
        tell: Tell = lambda trouble: None,
        told_again_seconds: float = TOLD_AGAIN_SECONDS,
    ) -> None:
        """`endpoint`: the topic's publish address, to which `check` connects."""
        self._client = client
        self._endpoint = endpoint
        self._pause_seconds = pause_seconds
        self._lock = Lock()
        self._waiting: deque[Told] = deque(maxlen=MOST_WAITING)
        self._on_their_way = 0  #: taken from the waiting ones by any thread, but not accepted yet
        self._not_before = 0.0
        self._in_trouble = False
        self._tell = tell
        self._told_again_seconds = told_again_seconds
        self._told: tuple[bool, float] | None = None  #: whether the last report was a failure, and when it was made

    def publish(self, lane: Lane, journal: Sequence[JournalEntry]) -> bool:
        promotions = {promotion.id: promotion for promotion in lane.promotions}
        return self._published([event_of(promotions[entry.promotion], entry) for entry in journal])

    def publish_holds(self, lines: Sequence[HoldLine]) -> bool:
        return self._published(list(map(event_of_hold, lines)))

    def tell_of_source(self, source: str, digest: str, trouble: str) -> None:
        self._published([refusal_of(source, digest, trouble)])

    def _published(self, told: Sequence[Told]) -> bool:
        with self._lock:
            self._waiting += told
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
        except (ServiceRequestError, ServiceResponseError):  # such as a connection that was closed while idle
            self._client.send(list(events), **_BOUNDS)

    def _put_off(self, events: Sequence[Told], fault: AzureError) -> None:
        with self._lock:
            room = MOST_WAITING - len(self._waiting)
            self._waiting.extendleft(reversed(events[-room:] if room else []))
            self._not_before = time.monotonic() + self._pause_seconds
            told, self._in_trouble = self._in_trouble, True
        if not told:
            log.warning("cannot publish changes of promotions; they wait: %s", fault)
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
    """The event for one line of a promotion's journal. Its id is deterministic."""
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


def event_of_hold(line: HoldLine) -> Told:
    """The event for one line of the history of holds. Its id is deterministic."""
    return CloudEvent(
        source="/mlpromote/holds",
        type=f"{HOLD_TYPE_PREFIX}{line.what}",
        subject=f"holds/{line.scope}",
        id=f"hold:{line.number}:{line.at.isoformat()}",
        time=line.at,
        data={
            "scope": str(line.scope),
            # None: any.
            "route": line.scope.route or None,
            "model": line.scope.model or None,
            "stage": line.scope.stage or None,
            "number": line.number,
            "what": line.what,
            "text": line.reason,
            "who": line.who,
            "until": line.until.isoformat() if line.until else None,
        },
    )


def refusal_of(source: str, digest: str, trouble: str) -> Told:
    """The event for a published bundle that is not used. Every process of the app sends it, with the same id."""
    return CloudEvent(
        source=f"/mlpromote/sources/{quote(source)}",
        type=SOURCE_REFUSED,
        subject=f"sources/{source}",
        id=f"{source}:{digest}:refused",
        data={"source": source, "digest": digest or None, "text": trouble[:LONGEST_TEXT]},
    )


def connect(settings: AppSettings, tell: Tell = lambda trouble: None) -> EventGridTopic:
    """The topic in the app's settings, with the key or identity that they name."""
    key = settings.topic_key
    identity = AzureKeyCredential(key) if key else credential(settings.topic_identity or None)
    endpoint = settings.topic_endpoint
    return EventGridTopic(EventGridPublisherClient(endpoint, identity), endpoint=endpoint, tell=tell)
