"""One promotion in full, for people. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mlpromote.api import Document
from mlpromote.approvals import manifest_lines
from mlpromote.capacity import capacity_lines
from mlpromote.evaluations import evaluation_lines
from mlpromote.live_figures import figure_lines
from mlpromote.picture import mark, picture
from mlpromote.pipelines import metric_lines, run_lines
from mlpromote.promotion_list import title
from mlpromote.statuses import UNDER_WAY
from mlpromote.tables import age, dim, spoken, table, until

#: The step whose evidence lists a pipeline's components.
_MADE_OF = "register_components"

#: Changed settings that are named.
MOST_PLACES = 5
#: Lines shown of a diagnosis, such as a container's log.
LAST_LINES = 30


def sheet(
    promotion: Document, now: datetime, with_journal: bool = False, series: Document | None = None
) -> RenderableType:
    """Draw one promotion: stages, diagnoses, approvals and waits, its live figures, and on request its journal."""
    parts: list[RenderableType] = [_head(promotion, now)]
    if promotion["stages"]:
        parts += [Text(), picture(promotion, now)]
    measured = (_alerts(promotion, now), _evaluations(promotion), _metrics(promotion))
    for lines in (
        *measured,
        figure_lines(series, promotion) if series else (),
        _diagnoses(promotion),
        _approvals(promotion),
        _kept(promotion, now),
        _waits(promotion, now),
    ):
        found = list(lines)
        if found:
            parts += [Text(), *found]
    if with_journal:
        parts += [Text(), _journal(promotion)]
    return Group(*parts)


def _head(promotion: Document, now: datetime) -> RenderableType:
    route = f" on route {promotion['route']}" if promotion["route"] else ""
    head = Text.assemble(
        mark(promotion["status"], now),
        (f" {title(promotion)}", "bold"),
        f"{route}: ",
        (spoken(promotion["status"]), "bold"),
    )
    asked = f"{promotion['id']}, requested by {promotion['requested_by']} {age(promotion['created'], now)} ago"
    if bundle := promotion.get("bundle"):
        asked = f"{asked}, with bundle {bundle[:12]}"
    why = [_indented(promotion["reason"])] if promotion["reason"] else []
    others = [_indented(line, style="yellow") for line in changed_settings(promotion)]
    return Group(head, *why, _indented(asked, style="dim"), *others)


def changed_settings(promotion: Document) -> Iterator[str]:
    """Say which settings the route has otherwise by now. They do not count for this promotion."""
    places = promotion.get("changed_settings") or []
    if not places:
        return
    named = ", ".join(places[:MOST_PLACES])
    more = f" and {len(places) - MOST_PLACES} more" if len(places) > MOST_PLACES else ""
    again = "cancel it and start it again" if promotion["status"] in UNDER_WAY else "start it again"
    yield (
        f"The route's settings have changed: {named}{more}. This promotion keeps those that it started with; "
        f"{again} to use the new ones."
    )


def _alerts(promotion: Document, now: datetime) -> Iterator[RenderableType]:
    for alert in promotion.get("alerts") or []:
        ended = f"resolved {age(alert['resolved'], now)} ago" if alert["resolved"] else "not resolved"
        fired = f"alert on {alert['stage']} {age(alert['at'], now)} ago, {ended}"
        yield _indented(f"{fired}: {alert['rule']}: {alert['text']}", style="dim" if alert["resolved"] else "bold")


def _evaluations(promotion: Document) -> Iterator[RenderableType]:
    for stage in promotion["stages"]:
        for step in stage["steps"]:
            lines = list(evaluation_lines(step["evidence"])) if step["name"] == "evaluate" else []
            if lines:
                yield dim(f"  measured in {stage['name']}:")
                yield Padding(Text("\n".join(lines), overflow="fold"), (0, 0, 0, 4))


def _diagnoses(promotion: Document) -> Iterator[RenderableType]:
    for stage in promotion["stages"]:
        for step in (*stage["steps"], *stage["undoing"]):
            diagnosis = ((step["failure"] or {}).get("diagnosis") or "").rstrip()
            if diagnosis:
                yield dim(f"  diagnosis of {stage['name']} {step['name']}:")
                lines = diagnosis.splitlines()[-LAST_LINES:]
                yield Padding(Text("\n".join(lines), overflow="fold"), (0, 0, 0, 4))


def _approvals(promotion: Document) -> Iterator[RenderableType]:
    for stage in promotion["stages"]:
        asked = stage["approval"]
        if not asked:
            continue
        # A stage that is tried again keeps its approvals. Until it asks, nobody knows if its evidence is the same.
        earlier = " in an earlier attempt, which counts only for the same evidence" * (asked["status"] == "waiting")
        for one in asked["given"]:
            yield _indented(f"{stage['name']} approved by {one['name']}{earlier}: {one['reason']}")
        if asked["status"] == "running" and stage["status"] == "running":
            evidence = f", for evidence {asked['evidence']}" if asked["evidence"] else ""
            still = asked["min"] - len(asked["given"])
            noun = "approval" if still == 1 else "approvals"
            yield _indented(f"{stage['name']} needs {still} more {noun} of {asked['min']}{evidence}")
            yield from (_indented(line, style="dim") for line in _to_be_deployed(stage))
            yield from (_indented(line, style="dim") for line in _to_be_run(promotion, stage))


def _to_be_deployed(stage: Document) -> Iterator[str]:
    for step in stage["steps"]:
        if step["name"] == "validate":
            yield from manifest_lines(step["evidence"])
        if step["name"] == "check_capacity":
            yield from capacity_lines(step["evidence"])


def _to_be_run(promotion: Document, stage: Document) -> Iterator[str]:
    """List what a pipeline would run. Its components were recorded once, in the first stage."""
    made_of = [step["evidence"] for each in promotion["stages"] for step in each["steps"] if step["name"] == _MADE_OF]
    components: Document = next((evidence["components"] for evidence in made_of if "components" in evidence), {})
    for step in stage["steps"]:
        if step["name"] == "inspect" and "manifest" in step["evidence"]:
            yield from run_lines(step["evidence"], components)


def _metrics(promotion: Document) -> Iterator[RenderableType]:
    """Show the metrics of a pipeline's run on sample and on production data; a refusal's diagnosis has them."""
    for stage in promotion["stages"]:
        for step in stage["steps"]:
            if step["name"] == "compare" and step["status"] != "failed" and step["evidence"].get("metrics"):
                yield _indented(f"{stage['name']}: metrics on the source's data and on {stage['name']}'s")
                yield from (_indented(line) for line in metric_lines(step["evidence"]["metrics"], stage["name"]))


def _kept(promotion: Document, now: datetime) -> Iterator[RenderableType]:
    """Show which replaced deployments stay: returning to them takes seconds."""
    for stage in promotion["stages"]:
        if stage.get("kept_until") and stage["replaces"]:
            left = until(stage["kept_until"], now)
            yield _indented(f"{stage['name']} keeps version {stage['replaces']} without traffic until {left}")


def _waits(promotion: Document, now: datetime) -> Iterator[RenderableType]:
    for wait in promotion["waits"]:
        yield _indented(f"{wait['stage']} waits for {wait['for']}")
        # An older app does not say when a wait ends by itself; nor does anybody know of most.
        end = wait.get("ends")
        ends = f"ends {until(end, now)}" if end else f"until {until(wait['until'], now)}"
        yield _indented(f"for {age(wait['since'], now)}, {ends}", style="dim")


def _indented(text: str, style: str = "") -> RenderableType:
    """Indent the text, including wrapped lines."""
    return Padding(Text(text, style=style), (0, 0, 0, 2))


def _journal(promotion: Document) -> Table:
    made = table("when (UTC)", "where", "what", "", whole=("when (UTC)",))
    for entry in promotion["journal"]:
        at = datetime.fromisoformat(entry["at"]).astimezone(UTC)
        where = " ".join(part for part in (entry["stage"], entry["step"]) if part)
        made.add_row(f"{at:%Y-%m-%d %H:%M:%S}", where, spoken(entry["what"]), entry["text"])
    return made
