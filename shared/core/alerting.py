"""Alerts on a stage's endpoint: kept with the lane, and told with the promotion that serves. Part of the rules in
`lane.py`.

- An alert belongs to the promotion that served when it fired, also when it is resolved later.
- Azure delivers alerts repeatedly and in any order: each is told once when it fires and once when it is resolved. One
  that is resolved before it fired, as far as the app knows, is told as resolved only.
- An alert decides nothing: people roll back.
"""

from datetime import datetime

from shared.core.events import AlertChanged
from shared.core.lane_notes import Alert
from shared.core.promotion import Lane, Promotion
from shared.core.replacing import replace
from shared.core.turn import Turn

#: Alerts kept for each stage, the newest last.
MOST_ALERTS = 20


def take(turn: Turn, event: AlertChanged) -> None:
    """Keep what is new about the alert. One on an endpoint that no promotion serves is dropped."""
    kept = turn.lane.alerts.get(event.stage, ())
    before = next((each for each in kept if each.id == event.alert), None)
    promotion = turn.lane.promotion(event.about(turn.lane) or "")
    if promotion is None or (before is not None and (event.fired or before.resolved is not None)):
        return
    after = _changed(before, event, promotion.id, turn.now)
    others = [each for each in kept if each.id != event.alert]
    alerts = {**turn.lane.alerts, event.stage: (*others, after)[-MOST_ALERTS:]}
    turn.lane = replace(turn.lane, alerts=alerts)
    what = "alert-fired" if event.fired else "alert-resolved"
    turn.note(promotion, what, f"{event.rule}: {event.says}", promotion.stage(event.stage))


def of(lane: Lane, promotion: Promotion) -> list[tuple[str, Alert]]:
    """The alerts of a promotion, each with its stage."""
    return [
        (stage, alert) for stage, alerts in lane.alerts.items() for alert in alerts if alert.promotion == promotion.id
    ]


def _changed(before: Alert | None, event: AlertChanged, promotion: str, now: datetime) -> Alert:
    alert = before or Alert(event.alert, promotion, event.rule, event.says, now)
    return alert if event.fired else replace(alert, resolved=now)
