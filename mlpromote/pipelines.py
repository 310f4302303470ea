"""Shows pipelines to people: what would run, what changed, and the metrics on the source's and on production data.

Pure: uses only the evidence of a promotion's steps.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlpromote.figures import figure
from mlpromote.tables import in_columns

Evidence = Mapping[str, Any]

#: How many digits of a digest are shown: enough to compare by eye.
DIGITS = 12


def run_lines(evidence: Evidence, components: Mapping[str, Any]) -> Iterator[str]:
    """List what would run, one line for each item, step and file; `components` by step."""
    manifest = evidence["manifest"]
    yield f"pipeline {manifest['pipeline'][:DIGITS]}, {_origin(manifest)}"
    identity = f" as {manifest['identity']}" if manifest.get("identity") else ""
    yield f"on compute {manifest['compute']}{identity}"
    for name, given in manifest.get("inputs", {}).items():
        yield f"input {name}: {_given(given)}"
    for name, component in components.items():
        yield f"step {name}: {component['command']}"
        yield f"  environment {component['environment']}"
        for file, digest in (component.get("files") or {}).items():
            yield f"  {digest[:DIGITS]} {file}"
        if component.get("files_left_out"):
            yield f"  and {component['files_left_out']} more files"
    for name, value in evidence.get("metrics", {}).items():
        yield f"{name} {figure(value)} in the source's run"
    changed = evidence.get("changed") or []
    if changed:
        yield "changed since the champion:"
        yield from (f"  {each}" for each in changed)


def _origin(manifest: Mapping[str, Any]) -> str:
    """What was promoted: what the job ran, or what a file defines, which may differ from that."""
    if manifest.get("definition"):
        return f"as {manifest['definition']} defines it; job {manifest['job']} may have run something else"
    return f"as it ran in job {manifest['job']}"


def _given(given: Mapping[str, Any]) -> str:
    return f"{given['name']}:{given['version']}" if given.get("data") else str(given.get("value", ""))


def metric_lines(rows: Sequence[Mapping[str, Any]], environment: str) -> Iterator[str]:
    """Yield a table of metrics: the source's run, this environment's run, and the champion's run there."""
    has_champion = any("champion" in row for row in rows)
    columns = ["source", "here", *(["champion"] if has_champion else [])]
    cells = [["metric", "source", environment, *(["champion"] if has_champion else [])]]
    cells += [[row["metric"], *(_figure(row.get(column)) for column in columns)] for row in rows]
    yield from in_columns(cells)


def _figure(value: float | None) -> str:
    return "–" if value is None else figure(value)
