"""What both stores share: documents of lanes and promotions, sortable times, and continuation tokens."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from msgspec import Struct, field
from msgspec.structs import asdict

from shared.core.holds import Holds
from shared.core.lane_notes import Alert, AskedRun, Hold, Unpublished
from shared.core.live_minute import LiveMinute
from shared.core.messages import Champion, LaneKey
from shared.core.promotion import Lane, Promotion
from shared.core.wire import Moment, from_text, to_text
from shared.ports import ApprovalDecision, ApprovalRequest, DiscardedLetter
from shared.ports.series import KEPT


class _LaneDocument(Struct, frozen=True):
    """The stored part of a lane, without its promotions."""

    champions: Mapping[str, Champion] = field(default_factory=dict)
    holds: Mapping[str, Hold] = field(default_factory=dict)
    unpublished: Unpublished | None = None
    closed_until: Mapping[str, Moment] = field(default_factory=dict)
    durations: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    runs: Mapping[str, tuple[AskedRun, ...]] = field(default_factory=dict)
    alerts: Mapping[str, tuple[Alert, ...]] = field(default_factory=dict)


def lane_document(lane: Lane) -> str:
    """The lane without its promotions."""
    kept = {name: getattr(lane, name) for name in _LaneDocument.__struct_fields__}
    return to_text(_LaneDocument(**kept))


def read_lane(key: LaneKey, document: str, promotions: tuple[Promotion, ...]) -> Lane:
    """The inverse of `lane_document`."""
    return Lane(key, promotions=promotions, **asdict(from_text(_LaneDocument, document)))


def promotion_document(promotion: Promotion) -> str:
    """The complete promotion."""
    return to_text(promotion)


def read_promotion(document: str) -> Promotion:
    """The inverse of `promotion_document`."""
    return from_text(Promotion, document)


def holds_document(holds: Holds) -> str:
    """All holds of operators."""
    return to_text(holds)


def read_holds(document: str) -> Holds:
    """The inverse of `holds_document`."""
    return from_text(Holds, document)


def approval_request_document(request: ApprovalRequest) -> str:
    """The complete request."""
    return to_text(request)


def approval_request(document: str) -> ApprovalRequest:
    """The inverse of `approval_request_document`."""
    return from_text(ApprovalRequest, document)


def approval_decision_document(decision: ApprovalDecision) -> str:
    """The complete decision."""
    return to_text(decision)


def approval_decision(document: str) -> ApprovalDecision:
    """The inverse of `approval_decision_document`."""
    return from_text(ApprovalDecision, document)


def discarded_document(letter: DiscardedLetter) -> str:
    """The complete letter."""
    return to_text(letter)


def discarded_letter(document: str) -> DiscardedLetter:
    """The inverse of `discarded_document`."""
    return from_text(DiscardedLetter, document)


def minute_document(minute: LiveMinute) -> str:
    """The complete minute."""
    return to_text(minute)


def live_minute(document: str) -> LiveMinute:
    """The inverse of `minute_document`."""
    return from_text(LiveMinute, document)


def slot(minute: LiveMinute) -> str:
    """The place of a minute in a series: its time of day. So a day's minutes replace those of the day before."""
    return minute.at.astimezone(UTC).strftime("%H%M%S")


def series_of(minutes: Iterable[LiveMinute]) -> Sequence[LiveMinute]:
    """The minutes of the last day among these, in order."""
    found = sorted(minutes, key=lambda each: (each.at, each.deployment))
    return [each for each in found if each.at > found[-1].at - KEPT]


def sortable(moment: datetime) -> str:
    """The time in UTC with a fixed length, so that texts sort like times."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def after_promotion(created: datetime, promotion: str) -> str:
    """The continuation token of a page that ends with the promotion."""
    return f"{sortable(created)}~{promotion}"


def promotion_position(following: str) -> tuple[datetime, str]:
    """The creation time and id of a page's last promotion. Raises ValueError for an unknown continuation token."""
    text, separator, promotion = following.partition("~")
    try:
        created = datetime.fromisoformat(text)
    except ValueError:
        created = datetime.min
    if not separator or created.tzinfo is None:
        raise ValueError("unknown continuation token")
    return created, promotion


def after_lane(lane: LaneKey) -> str:
    """The continuation token of a page that ends with the lane."""
    return to_text([lane.route, lane.model])


def lane_position(following: str) -> LaneKey:
    """The last lane of a page. Raises ValueError for an unknown continuation token."""
    try:
        names = json.loads(following)
    except (ValueError, RecursionError):
        names = None
    if not (isinstance(names, list) and len(names) == 2 and all(isinstance(name, str) for name in names)):
        raise ValueError("unknown continuation token")
    return LaneKey(*names)
