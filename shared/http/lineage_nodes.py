"""The lineage of a serving model as a tree: from the endpoint back to the commit and the data.

Read from evidence alone. Evidence of steps that are not there, or of another version, leaves its branch out.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from shared.core import asset_names
from shared.core.approval import ApprovalEvidence
from shared.http.lineage_evidence import Seen
from shared.worker.evaluation import Evaluated
from shared.worker.lineage import Lineage, Pipeline
from shared.worker.steps.invoke import Invoked
from shared.worker.steps.register_components import RegisteredComponents
from shared.worker.steps.run import Ran
from shared.worker.steps.share import Shared

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


def of_evidence(seen: Seen, pipeline: Node | None) -> tuple[Node, ...]:
    """Where a candidate came from, by the evidence of its steps. `pipeline`: the promotion that trained it, if any."""
    return _all(
        (
            *(_approvals(seen.approval) if seen.approval else ()),
            _evaluation(seen.evaluated) if seen.evaluated else None,
            _test(seen.tested) if seen.tested else None,
            _model(seen.shared, pipeline) if seen.shared else None,
            _pipeline(seen.registered) if seen.registered else None,
            _run(seen.ran) if seen.ran else None,
        )
    )


def trained_by(seen: Seen) -> str | None:
    """The id of the promotion of a pipeline whose run registered the candidate."""
    if seen.shared is None:
        return None
    marks = [seen.shared.properties, seen.shared.tags]
    job = seen.shared.job
    if job is not None:
        marks += [job.tags, *([job.pipeline.tags] if job.pipeline else [])]
    return next((named for each in marks if (named := each.get(PROMOTION))), None)


def endpoint(name: str, facts: Mapping[str, Any], seen: Seen, promotion: Node) -> Node:
    """What serves, with the promotion below it. `name`: environment and endpoint."""
    deployment = seen.deployed.deployment if seen.deployed else None
    return Node("endpoint", name, facts=_known({**facts, "deployment": deployment}), came_from=(promotion,))


# --- names of workspaces ----------------------------------------------------------------------------------------------


def names_of_workspaces(seen: Seen, source: str) -> dict[str, str]:
    """The name of the source's workspace by its guid, which some ids have in the place of the name. `source`: ARM id.

    The model's own id names the guid, since the worker read it in that workspace.
    """
    origin = asset_names.read(seen.shared.origin or "") if seen.shared else None
    _, found, name = source.rpartition("/workspaces/")
    return {origin.workspace: name.strip("/")} if origin and origin.workspace and found else {}


def with_names(node: Node, names: Mapping[str, str]) -> Node:
    """The tree with the names of its workspaces, where they are known; ids stay as they are."""
    named = names.get(str(node.facts.get("workspace")))
    facts = {**node.facts, "workspace": named} if named else node.facts
    return replace(node, facts=facts, came_from=tuple(with_names(each, names) for each in node.came_from))


# --- what the steps have left -----------------------------------------------------------------------------------------


def _approvals(approval: ApprovalEvidence) -> Iterator[Node]:
    for given in approval.given:
        facts = {"at": given.at.isoformat(), "reason": given.reason, "on": approval.on}
        yield Node("approval", given.name or given.id or "somebody", facts=_known(facts))


def _evaluation(evaluated: Evaluated) -> Node:
    metrics = {
        each.metric: _known({"candidate": each.candidate, "champion": each.champion}) for each in evaluated.metrics
    }
    facts = {"metrics": metrics, "studio": evaluated.studio, "digest": evaluated.digest}
    data = _all(_asset(each.asset, input=each.input) for each in evaluated.data)
    return Node("evaluation", evaluated.job, facts=_known(facts), came_from=data)


def _test(tested: Invoked) -> Node:
    """The test of a batch deployment, with its input."""
    facts = {
        "rows": tested.rows,
        "differing": tested.differing,
        "compared_with": tested.champion,
        "studio": tested.studio,
    }
    return Node("test", tested.job, facts=_known(facts), came_from=_all([_asset(tested.data, input="input")]))


def _model(shared: Shared, pipeline: Node | None) -> Node | None:
    """The registry's asset if there is one, the workspace's below it, and its job below that."""
    measured = {"metrics": shared.metrics, "measured_by": shared.measured_by}
    job = _job(shared.job, measured, pipeline) if shared.job else None
    lost = shared.job_not_found
    gone = Node("job", lost, facts={"status": "cannot be found"}) if lost else None
    facts = {
        "registered": shared.registered.isoformat() if shared.registered else None,
        "by": [author.name for author in shared.authors if author.name],
        "tags": shared.tags,
    }
    made = _asset(shared.origin, _all([job, gone, *([pipeline] if pipeline and not job else [])]), **facts)
    if made and shared.registry_model and shared.registry_model != shared.origin:
        return _asset(shared.registry_model, (made,))
    return made


def _job(job: Lineage, measured: Mapping[str, Any], pipeline: Node | None) -> Node:
    facts = {
        "status": job.status or "gone",
        "experiment": job.experiment,
        "step": job.node,
        "tracked_by": job.tracked_by,
        **measured,
    }
    below = [
        _whole(job.pipeline, pipeline) if job.pipeline else pipeline,
        _asset(job.component),
        _asset(job.code),
        _asset(job.environment),
        *_inputs(job.inputs),
        _commit(job.git),
    ]
    return Node("job", job.name, facts=_known(facts), came_from=_all(below))


def _whole(above: Pipeline, pipeline: Node | None) -> Node:
    """The pipeline job that a step belongs to, with the promotion that started it, if one did."""
    below = [pipeline, _asset(above.component), *_inputs(above.inputs)]
    return Node("job", above.name, facts={"status": above.status or "gone"}, came_from=_all(below))


def _pipeline(registered: RegisteredComponents) -> Node:
    """What a pipeline's promotion has rebuilt in the registry, and the job that it was rebuilt from."""
    components = [
        _asset(each.component, _all([_asset(each.code), _asset(each.environment)]), step=step)
        for step, each in registered.components.items()
    ]
    source = _job(registered.job, {"metrics": registered.figures.metrics}, None)
    facts = {"definition": registered.definition}
    return Node("pipeline", registered.pipeline, facts=_known(facts), came_from=_all([source, *components]))


def _run(ran: Ran) -> Node:
    """The run of a promoted pipeline, with what it was given."""
    given = _all(_asset(each.data, input=name) for name, each in ran.inputs.items())
    return Node("job", ran.job, facts=_known({"studio": ran.studio}), came_from=given)


# --- assets -----------------------------------------------------------------------------------------------------------


def _asset(asset_id: str | None, came_from: tuple[Node, ...] = (), **facts: Any) -> Node | None:
    """By its id; None for what is no asset."""
    if not asset_id or not (named := asset_names.read(asset_id)):
        return None
    where = {"registry": named.registry, "workspace": named.workspace, "id": asset_id}
    return Node(named.kind, named.name, named.version, _known({**facts, **where}), came_from)


def _inputs(inputs: Mapping[str, str]) -> list[Node | None]:
    return [_asset(given, input=name) for name, given in sorted(inputs.items())]


def _commit(git: Mapping[str, str]) -> Node | None:
    if not git.get("commit"):
        return None
    facts = {"repository": git.get("repository"), "branch": git.get("branch"), "dirty": git.get("dirty")}
    return Node("commit", git["commit"], facts=_known(facts))


def _all(nodes: Iterable[Node | None]) -> tuple[Node, ...]:
    return tuple(node for node in nodes if node is not None)


def _known(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Those that say something."""
    return {name: value for name, value in facts.items() if value is not None and value not in ("", {}, [], ())}
