"""Where what serves came from, as a tree: from the endpoint back to the commit and the data.

Read from evidence alone. Evidence of steps that are not there, or of another version, leaves its branch out.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.core import asset_names
from shared.core.approval import APPROVE
from shared.core.messages import Champion, Evidence
from shared.core.promotion import StageRun
from shared.worker.steps import deploy, evaluate, register_components, run, share

#: Tag of what a promotion has made: the promotion's id. A model with it was trained by a promoted pipeline.
PROMOTION = "mlpromote.promotion"


@dataclass(frozen=True)
class Node:
    """One thing that something came from. `reference` finds it: `kind:name` or `kind:name:version`."""

    kind: str
    name: str
    version: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)  #: what is known of it, by name
    came_from: tuple["Node", ...] = ()

    @property
    def reference(self) -> str:
        return ":".join(part for part in (self.kind, self.name, self.version) if part)

    def document(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "name": self.name,
            "version": self.version,
            "reference": self.reference,
            "facts": dict(self.facts),
            "from": [each.document() for each in self.came_from],
        }


def of_evidence(evidence: Mapping[str, Evidence], pipeline: Node | None) -> tuple[Node, ...]:
    """Where a candidate came from, by the evidence of its steps. `pipeline`: the promotion that trained it, if any."""
    found = (
        *_approvals(evidence.get(APPROVE, {})),
        *_evaluation(evidence.get(evaluate.STEP.name, {})),
        *_model(evidence.get(share.STEP.name, {}), pipeline),
        *_pipeline(evidence.get(register_components.STEP.name, {})),
        *_run(evidence.get(run.STEP.name, {})),
    )
    return tuple(found)


def trained_by(evidence: Mapping[str, Evidence]) -> str | None:
    """The id of the promotion of a pipeline whose run registered the candidate."""
    shared = evidence.get(share.STEP.name, {})
    job = _mapping(shared.get("job"))
    marks = [shared.get("properties"), *(each.get("tags") for each in (shared, job, _mapping(job.get("pipeline"))))]
    return next((str(named) for each in marks if (named := _mapping(each).get(PROMOTION))), None)


def endpoint(environment: str, champion: Champion, stage: StageRun, came_from: Sequence[Node]) -> Node:
    """What serves, with the promotion below it."""
    deployed = champion.evidence.get(deploy.STEP.name, {})
    facts = {"stage": stage.name, "deployment": deployed.get("deployment"), "since": champion.since.isoformat()}
    return Node("endpoint", f"{environment}/{stage.endpoint}", facts=_known(facts), came_from=tuple(came_from))


# --- what the steps have left -----------------------------------------------------------------------------------------


def _approvals(evidence: Evidence) -> Iterator[Node]:
    for each in _sequence(evidence.get("given")):
        given = _mapping(each)
        facts = {"at": given.get("at"), "reason": given.get("reason"), "on": evidence.get("on")}
        yield Node("approval", str(given.get("name") or given.get("id") or "somebody"), facts=_known(facts))


def _evaluation(evidence: Evidence) -> Iterator[Node]:
    if not evidence.get("job"):
        return
    metrics = {
        str(_mapping(each).get("metric")): _known(
            {"candidate": _mapping(each).get("candidate"), "champion": _mapping(each).get("champion")}
        )
        for each in _sequence(evidence.get("metrics"))
    }
    facts = {"metrics": metrics, "studio": evidence.get("studio"), "digest": evidence.get("digest")}
    yield Node(
        "evaluation", str(evidence["job"]), facts=_known(facts), came_from=_all(_assets_in(evidence.get("data")))
    )


def _model(shared: Evidence, pipeline: Node | None) -> Iterator[Node]:
    """The registry's asset if there is one, the workspace's below it, and its job below that."""
    origin = shared.get("origin")
    if not origin:
        return
    job = _job(_mapping(shared.get("job")), shared, pipeline)
    lost = shared.get("job_not_found")
    gone = Node("job", str(lost), facts={"status": "cannot be found"}) if lost else None
    authors = [_mapping(each) for each in _sequence(shared.get("authors"))]
    facts = {
        "registered": shared.get("registered"),
        "by": [author["name"] for author in authors if author.get("name")],
        "tags": shared.get("tags"),
    }
    made = _asset(origin, _all([job, gone, *([pipeline] if pipeline and not job else [])]), **facts)
    copy = shared.get("registry_model")
    if made and copy and copy != origin:
        made = _asset(copy, (made,))
    if made:
        yield made


def _job(job: Mapping[str, Any], shared: Evidence, pipeline: Node | None) -> Node | None:
    if not job.get("name"):
        return None
    facts = {
        "status": job.get("status") or "gone",
        "experiment": job.get("experiment"),
        "step": job.get("node"),
        "tracked_by": job.get("tracked_by"),
        "metrics": shared.get("metrics"),
        "measured_by": shared.get("measured_by"),
    }
    above = _mapping(job.get("pipeline"))
    below = [
        _whole(above, pipeline) if above.get("name") else pipeline,
        _asset(job.get("component")),
        _asset(job.get("code")),
        _asset(job.get("environment")),
        *_inputs(job),
        _commit(_mapping(job.get("git"))),
    ]
    return Node("job", str(job["name"]), facts=_known(facts), came_from=_all(below))


def _whole(above: Mapping[str, Any], pipeline: Node | None) -> Node:
    """The pipeline job that a step belongs to, with the promotion that started it, if one did."""
    below = [pipeline, _asset(above.get("component")), *_inputs(above)]
    return Node("job", str(above["name"]), facts={"status": above.get("status") or "gone"}, came_from=_all(below))


def _pipeline(seen: Evidence) -> Iterator[Node]:
    """What a pipeline's promotion has rebuilt in the registry, and the job that it was rebuilt from."""
    if not seen.get("pipeline"):
        return
    components = [
        _asset(each.get("component"), _all([_asset(each.get("code")), _asset(each.get("environment"))]), step=step)
        for step, each in ((step, _mapping(each)) for step, each in _mapping(seen.get("components")).items())
    ]
    source = _job(_mapping(seen.get("job")), {"metrics": _mapping(seen.get("figures")).get("metrics")}, None)
    facts = {"definition": seen.get("definition")}
    yield Node("pipeline", str(seen["pipeline"]), facts=_known(facts), came_from=_all([source, *components]))


def _run(seen: Evidence) -> Iterator[Node]:
    """The run of a promoted pipeline, with what it was given."""
    if not seen.get("job"):
        return
    given = _all(_assets_in(seen.get("inputs")))
    yield Node("job", str(seen["job"]), facts=_known({"studio": seen.get("studio")}), came_from=given)


# --- assets -----------------------------------------------------------------------------------------------------------


def _asset(asset_id: Any, came_from: tuple[Node, ...] = (), **facts: Any) -> Node | None:
    """By its id; None for what is no asset."""
    if not isinstance(asset_id, str) or not (named := asset_names.read(asset_id)):
        return None
    where = {"registry": named.registry, "workspace": named.workspace, "id": asset_id}
    return Node(named.kind, named.name, named.version, _known({**facts, **where}), came_from)


def _inputs(job: Mapping[str, Any]) -> list[Node | None]:
    return [_asset(given, input=name) for name, given in sorted(_mapping(job.get("inputs")).items())]


def _assets_in(given: Any) -> list[Node | None]:
    """Of a mapping of inputs or a list of assets, in either of which an id may stand one level down."""
    pairs = given.items() if isinstance(given, Mapping) else [(None, each) for each in _sequence(given)]
    found = [(name, _mapping(each), each) for name, each in pairs]
    return [
        _asset(fields.get("asset") or fields.get("data") or each, input=name or fields.get("input"))
        for name, fields, each in found
    ]


def _commit(git: Mapping[str, Any]) -> Node | None:
    if not git.get("commit"):
        return None
    facts = {"repository": git.get("repository"), "branch": git.get("branch"), "dirty": git.get("dirty")}
    return Node("commit", str(git["commit"]), facts=_known(facts))


def _all(nodes: Iterable[Node | None]) -> tuple[Node, ...]:
    return tuple(node for node in nodes if node is not None)


def _known(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Those that say something."""
    return {name: value for name, value in facts.items() if value is not None and value not in ("", {}, [], ())}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _sequence(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()
