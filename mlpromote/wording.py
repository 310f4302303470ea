"""A step of a promotion in one line: what it waits for, its result, or why it failed. Pure."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

from mlpromote import capacity, evaluations
from mlpromote.figures import figure

#: A step as `GET /api/promotions/{id}` returns it, and its evidence.
Step = Mapping[str, Any]
Evidence = Mapping[str, Any]

#: Characters shown of a value.
LONGEST_VALUE = 40


def told(step: Step, now: datetime) -> str:
    """Describe a step in one line; empty if it has not started."""
    if step["status"] == "failed" and step["failure"]:
        return str(step["failure"]["reason"])
    if step["status"] == "running":
        return f"{step['says'] or 'under way'}{_next_poll(step, now)}"
    if step["status"] == "stopped":
        return f"stopped; last seen: {step['says']}" if step["says"] else "stopped"
    if step["status"] == "succeeded":
        return _WORDS.get(_without_number(step["name"]), _values)(step["evidence"])
    return ""


def _without_number(name: str) -> str:
    """The name of a step, without the number that it has if its plan repeats it."""
    return re.sub(r"-[0-9]+$", "", name)


def _next_poll(step: Step, now: datetime) -> str:
    if not step["next_poll"]:
        return ""
    seconds = (datetime.fromisoformat(step["next_poll"]) - now).total_seconds()
    return f"; next poll in {seconds:.0f} s" if seconds >= 1 else ""


def _share(evidence: Evidence) -> str:
    metrics = ", ".join(f"{name} {figure(value)}" for name, value in evidence.get("metrics", {}).items())
    nothing = "registry_model" in evidence and evidence["registry_model"] in (None, evidence.get("origin"))
    done = "nothing to copy" if nothing else "copied to the registry"
    return f"{done}; {metrics}" if metrics else done


def _share_data(evidence: Evidence) -> str:
    named = ", ".join(f"{each['name']}:{each['version']}" for each in evidence.get("data", []))
    return f"copied to the registry: {named}"


def _validate(evidence: Evidence) -> str:
    gates = evidence.get("gates", [])
    # A metric's figure may be followed by a remark.
    seen = {gate["gate"].removeprefix("metric "): gate["seen"].partition(";")[0] for gate in gates if _is_metric(gate)}
    figures = ", ".join(f"{metric} {figure}" for metric, figure in seen.items())
    if not gates:
        return "no gate is set"
    if figures:
        return f"{_passed(seen)}: {figures}"
    # Gates that need no figure, such as a tag or the training job, are named: nobody has to count them.
    names = [gate["gate"] for gate in gates]
    return f"{_passed(names)}: {', '.join(names)}"


def _passed(names: Collection[str]) -> str:
    return "gate passed" if len(names) == 1 else "gates passed"


def _is_metric(gate: Mapping[str, str]) -> bool:
    return gate["gate"].startswith("metric ")


def _evaluate(evidence: Evidence) -> str:
    return evaluations.in_short(dict(evidence))


def _cancel_job(evidence: Evidence) -> str:
    cancelled = ", ".join(evidence.get("cancelled", []))
    return f"cancelled job {cancelled}" if cancelled else "no job was under way"


def _approve(evidence: Evidence) -> str:
    given = ", ".join(str(one["name"]) for one in evidence.get("given", []))
    return f"approved by {given}" if given else "approved"


def _deploy(evidence: Evidence) -> str:
    return f"deployment {evidence.get('deployment', '')} is ready, no traffic yet"


def _smoke(evidence: Evidence) -> str:
    requests = evidence.get("requests", 0)
    if not requests:
        return "no smoke requests are set"
    if "slowest_ms" not in evidence:
        return f"{_count(requests)} as expected"
    milliseconds = f"{evidence['slowest_ms']:.0f} ms"
    return f"{_count(requests)} as expected, {'the slowest in' if requests > 1 else 'in'} {milliseconds}"


def _invoke(evidence: Evidence) -> str:
    rows = f"{evidence.get('rows', 0)} rows written"
    if evidence.get("differing") is None:
        return f"{rows}; nothing to compare them with"
    part = f"{evidence.get('disagreement', 0):.2%}"
    return f"{rows}; {evidence['differing']} ({part}) differ from those of {evidence.get('champion', '')}"


def _count(requests: int) -> str:
    return "1 request" if requests == 1 else f"{requests} requests"


def _shift(evidence: Evidence) -> str:
    return ", ".join(f"{share} % of the traffic to {name}" for name, share in evidence.get("traffic", {}).items())


def _make_room(evidence: Evidence) -> str:
    removed = ", ".join(evidence.get("deployments", []))
    return f"removed, since nobody would return to it: {removed}" if removed else "nothing was in the way"


def _rollout(evidence: Evidence) -> str:
    if evidence.get("left_out"):
        return str(evidence["left_out"]).rstrip(".")
    copies = [f"copies of {share} % of the requests to {name}" for name, share in evidence.get("mirror", {}).items()]
    return "; ".join([*(copies or [_shift(evidence)]), *_watched(evidence)])


def _watch(evidence: Evidence) -> str:
    return "; ".join(_watched(evidence)) or "not judged"


def _watched(evidence: Evidence) -> Iterator[str]:
    """The live figures that were judged, each with the champion's."""
    live = evidence.get("seen", {}).get("live") or {}
    candidate, champion = live.get("candidate") or {}, live.get("champion") or {}
    for finding in live.get("findings", []):
        metric = finding["metric"]
        beside = f" (champion {_figure(metric, champion[metric])})" if champion.get(metric) is not None else ""
        if candidate.get(metric) is not None:
            yield f"{metric} {_figure(metric, candidate[metric])}{beside}"
    if evidence.get("seen", {}).get("no_verdict"):
        yield f"no verdict: {evidence['seen']['no_verdict']}"
    elif any(finding.get("result") == "no verdict" for finding in live.get("findings", [])):
        yield from (f"no verdict: {note}" for note in live.get("notes", [])[:1])


def _figure(metric: str, value: float) -> str:
    if metric == "error_rate":
        return f"{value:.2%}"
    return f"{value:.0f} ms" if metric.startswith("latency") else f"{value:.0f} %"


def _move_monitor(evidence: Evidence) -> str:
    return f"monitor {evidence.get('monitor', '')} watches {evidence.get('deployment', '')}"


def _retire(evidence: Evidence) -> str:
    left = ", ".join(f"{name} ({why})" for name, why in evidence.get("left_alone", {}).items())
    return f"kept: {left}" if left else "no other deployments remain"


def _remove(evidence: Evidence) -> str:
    if "deployment" in evidence:
        return f"deployment {evidence['deployment']} removed"
    if "not_there" in evidence:
        return "no deployment to remove"
    return f"kept: {evidence['left_alone']} (not from this promotion)" if "left_alone" in evidence else ""


def _reinstate(evidence: Evidence) -> str:
    if "deployment" in evidence:
        return f"deployment {evidence['deployment']} is ready"
    return "nothing served before, so there is nothing to restore"


def _restore(evidence: Evidence) -> str:
    return _shift(evidence) or "no deployment takes traffic"


def _register(evidence: Evidence) -> str:
    return f"registered as {evidence.get('model', '')}/{evidence.get('version', '')}"


def _register_components(evidence: Evidence) -> str:
    count = len(evidence.get("components", {}))
    steps = "1 step" if count == 1 else f"{count} steps"
    return f"pipeline {str(evidence.get('pipeline', ''))[:12]} with {steps} is in the registry"


def _inspect(evidence: Evidence) -> str:
    manifest = evidence.get("manifest", {})
    data = [f"{one['name']}:{one['version']}" for one in manifest.get("inputs", {}).values() if one.get("data")]
    on = f" on {', '.join(data)}" if data else ""
    changed = len(evidence.get("changed", []))
    since = f"; {changed} {'change' if changed == 1 else 'changes'} since the champion" if changed else ""
    return f"can run on {manifest.get('compute', '')}{on}{since}"


def _run(evidence: Evidence) -> str:
    return f"job {evidence.get('job', '')} completed"


def _compare(evidence: Evidence) -> str:
    judged = {gate["gate"].removeprefix("metric ") for gate in evidence.get("gates", []) if _is_metric(gate)}
    figures = [
        f"{row['metric']} {figure(row['here'])} (source {figure(row['source'])})"
        for row in evidence.get("metrics", [])
        if row["metric"] in judged and "here" in row and "source" in row
    ]
    passed = _validate(evidence)
    return f"{passed.partition(':')[0]}: {', '.join(figures)}" if figures else passed


def _register_model(evidence: Evidence) -> str:
    return _register(evidence) if evidence.get("model") else "the stage registers nothing"


def _withdraw(evidence: Evidence) -> str:
    return f"kept: {evidence['model']}/{evidence['version']}" if evidence.get("model") else "nothing was registered"


_WORDS: Mapping[str, Callable[[Evidence], str]] = {
    "share": _share,
    "share_data": _share_data,
    "validate": _validate,
    "check_capacity": capacity.in_short,
    "evaluate": _evaluate,
    "cancel_job": _cancel_job,
    "approve": _approve,
    "deploy": _deploy,
    "smoke": _smoke,
    "invoke": _invoke,
    "make_room": _make_room,
    "rollout": _rollout,
    "shift": _shift,
    "watch": _watch,
    "move_monitor": _move_monitor,
    "retire": _retire,
    "remove": _remove,
    "reinstate": _reinstate,
    "restore": _restore,
    "register": _register,
    "register_components": _register_components,
    "inspect": _inspect,
    "run": _run,
    "compare": _compare,
    "register_model": _register_model,
    "withdraw": _withdraw,
}


def _values(evidence: Evidence) -> str:
    """Describe a step that has no wording of its own."""
    return ", ".join(_named_values(evidence))


def _named_values(evidence: Evidence) -> Iterator[str]:
    for name, value in evidence.items():
        if isinstance(value, float):
            yield f"{name} {figure(value)}"
        elif isinstance(value, str | int) and value != "":
            yield f"{name} {str(value)[:LONGEST_VALUE]}"
