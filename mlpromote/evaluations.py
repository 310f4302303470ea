"""Shows people what an evaluation measured for the candidate and the champion. Pure."""

from collections.abc import Iterator

from mlpromote.api import Document
from mlpromote.figures import figure
from mlpromote.tables import in_columns


def evaluation_lines(evidence: Document) -> Iterator[str]:
    """Yield a table of metrics, the data they were measured on, and where to find the job."""
    if not evidence.get("metrics"):
        return
    odd = evidence.get("not_numbers") or {}
    rows = [["metric", "candidate", *(["champion"] if evidence.get("champion") else [])]]
    for each in evidence["metrics"]:
        name = each["metric"]
        row = [name, _figure(each["candidate"], odd.get(name))]
        if evidence.get("champion"):
            row.append(_figure(each["champion"], odd.get(f"champion.{name}")))
        rows.append(row)
    yield from in_columns(rows)
    if evidence.get("metrics_left_out"):
        yield f"and {evidence['metrics_left_out']} more metrics"
    for used in evidence.get("data") or []:
        yield f"{used['input']}: {used['name']}, version {used['version']}"
    yield f"job {evidence['job']}"
    if evidence.get("digest"):
        yield f"digest of its file and code {evidence['digest']}"
    if evidence.get("studio"):
        yield str(evidence["studio"])


def in_short(evidence: Document) -> str:
    """Return one line with the metrics that the gates checked."""
    asked = {gate["gate"].removeprefix("metric ") for gate in evidence.get("gates", [])}
    rows = [each for each in evidence.get("metrics", []) if each["metric"] in asked]
    told = []
    for each in rows:
        theirs = f" (champion {_figure(each['champion'], None)})" if evidence.get("champion") else ""
        told.append(f"{each['metric']} {_figure(each['candidate'], None)}{theirs}")
    used = ", ".join(f"{one['name']} {one['version']}" for one in evidence.get("data") or [])
    figures = ", ".join(told) or "measured"
    return f"{figures} on {used}" if used else figures


def _figure(value: float | None, odd: str | None) -> str:
    return figure(value) if value is not None else odd or "-"
