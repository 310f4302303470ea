"""Looks at everything that would run, and decides on the environment's rules: for `inspect`, and again for the steps
that act on that later.

Nothing of it is taken from the evidence of others but the graph, which is in the digest that people approve: each
component is read again from the registry, file by file, and each data asset from this workspace.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from shared.config.pipeline_stage import SERVERLESS
from shared.core.approval import DIGEST_LENGTH, Author
from shared.core.messages import Failed, FailureKind, as_evidence
from shared.ports import Node
from shared.worker import gates, pipeline_changes, rules
from shared.worker.gates import Verdict
from shared.worker.pipeline_comparable import never_passes
from shared.worker.pipeline_components import PromotedComponent, looked_at
from shared.worker.pipeline_content import digest_of
from shared.worker.pipeline_graph import graph_digest
from shared.worker.pipeline_inputs import Given, given
from shared.worker.pipeline_order import PipelineOrder
from shared.worker.steps import register_components
from shared.worker.steps.register_components import RegisteredComponents


@dataclass(frozen=True)
class RunManifest:
    """What would run, for people to review before they approve it."""

    digest: str  #: of everything, including what is not listed here
    pipeline: str  #: digest of the graph and of everything in its steps
    job: str  #: the source's
    components: Mapping[str, str]  #: by step: what its component is now
    inputs: Mapping[str, Given]  #: with the version of each data asset
    compute: str
    identity: str = ""  #: client id; empty for the compute's own
    nodes: Mapping[str, Node] = field(default_factory=dict)  #: as they are submitted
    definition: str = ""  #: the file that defines the graph, its steps and their code; empty if they are the job's


@dataclass(frozen=True)
class PipelineReview:
    """A pipeline that may run here, apart from approval."""

    verdicts: Sequence[Verdict]
    manifest: RunManifest
    changed: Sequence[str]  #: since the champion
    authors: Sequence[Author]


@dataclass(frozen=True)
class _Content:
    """What would run, by the names of the graph."""

    components: Mapping[str, PromotedComponent]
    inputs: Mapping[str, Given]
    nodes: Mapping[str, Node]  #: as they are submitted


def review(order: PipelineOrder, before: RunManifest | None = None) -> PipelineReview | Failed:
    """Review what would run. `before` is what was inspected, so that `@latest` keeps its version."""
    seen = order.seen(register_components.STEP)
    obstacle = _region(order) or _compute(order) or never_passes(order.command.stage, order.stage.gates, seen.figures)
    if obstacle:
        return obstacle
    inputs = given(order, seen.graph.inputs, before.inputs if before else {})
    if isinstance(inputs, Failed):
        return inputs
    components = _components(order, seen)
    if isinstance(components, Failed):
        return components
    made_by = _authors(order, seen)
    nodes = {name: _as_submitted(order, node) for name, node in seen.graph.nodes.items()}
    verdicts = [*_judged(order, nodes), *rules.judge_people(order.rules.policy, least_of(order), made_by)]
    if refusal := gates.refusal(order.command.stage, verdicts):
        return refusal
    manifest = _manifest(order, seen, _Content(components, inputs, nodes), verdicts, made_by)
    changed = pipeline_changes.since_champion(order.command.champion, components, inputs)
    return PipelineReview(verdicts, manifest, changed, made_by)


def least_of(order: PipelineOrder) -> int:
    """Return how many approvals the stage requires."""
    return order.stage.approval.least if order.stage.approval else 0


def _region(order: PipelineOrder) -> Failed | None:
    region = order.workspace.missing_region()
    if region is None:
        return None
    return Failed(
        f"The registry is not replicated to {region}, where the workspace of {order.command.environment} is, so "
        "nothing in it can be run there. Add the region to the registry, then retry.",
        FailureKind.NOT_FOUND,
    )


def _compute(order: PipelineOrder) -> Failed | None:
    name = order.stage.run.compute
    if name.lower() == SERVERLESS or order.workspace.has_compute(name):
        return None
    return Failed(
        f"There is no compute {name} in {order.command.environment}. Create it, or correct `run: compute` of stage "
        f"{order.command.stage} and start a new promotion.",
        FailureKind.NOT_FOUND,
    )


def _components(order: PipelineOrder, seen: RegisteredComponents) -> Mapping[str, PromotedComponent] | Failed:
    """Return the components as they are in the registry now. They must be unchanged since they were registered."""
    found: dict[str, PromotedComponent] = {}
    for name, promised in sorted(seen.components.items()):
        now = looked_at(order, promised.component, "")
        if isinstance(now, Failed):
            return now
        if now.digest != promised.digest:
            return Failed(
                f"Component {promised.component} of step {name} is not what was registered: "
                f"{'; '.join(pipeline_changes.of_component(promised, now))}. Nothing was run. Find out who changed it.",
                FailureKind.CHANGED,
            )
        found[name] = now
    digests = {name: each.digest for name, each in found.items()}
    is_whole = found.keys() == seen.graph.nodes.keys() and all(
        seen.graph.nodes[name].component == each.component for name, each in found.items()
    )
    if not is_whole or graph_digest(seen.graph, digests)[:DIGEST_LENGTH] != seen.pipeline:
        return Failed(
            "The pipeline's graph is not the one that was registered. Nothing was run. Find out who "
            "sent the command, and start a new promotion.",
            FailureKind.CHANGED,
        )
    return found


def _authors(order: PipelineOrder, seen: RegisteredComponents) -> Sequence[Author]:
    """Return who ran the source's job: read there if this environment may, else as the source's worker reported."""
    source = order.rules.source
    return seen.authors if source is None else source.job_authors(order.command.candidate.version)


def _as_submitted(order: PipelineOrder, node: Node) -> Node:
    """Return the node with this stage's machines."""
    run = order.stage.run
    wanted = {"instance_type": run.instance_type, "instance_count": run.instances}
    own = {key: str(each) for key, each in wanted.items() if each is not None}
    resources = {**node.settings.get("resources", {}), **own}
    settings = {**node.settings, "resources": resources} if resources else node.settings
    return Node(node.kind, node.component, node.inputs, node.outputs, settings)


def _judged(order: PipelineOrder, nodes: Mapping[str, Node]) -> Iterator[Verdict]:
    """Yield the verdicts of the environment's policy on machines and identities."""
    policy, run = order.rules.policy, order.stage.run
    if policy.computes:
        allowed = {each.casefold() for each in policy.computes}
        yield Verdict("policy: compute", " or ".join(policy.computes), run.compute, run.compute.casefold() in allowed)
    if policy.identities:
        seen = run.identity or "none named"
        yield Verdict("policy: identity", " or ".join(policy.identities), seen, run.identity in policy.identities)
    if policy.instance_types and run.compute.lower() == SERVERLESS:  # a cluster's owner chose its machines
        seen = run.instance_type or "none named"
        allowed = {each.casefold() for each in policy.instance_types}
        yield Verdict("policy: instance type", " or ".join(policy.instance_types), seen, seen.casefold() in allowed)
    if policy.max_instances is not None:
        counts = [str(node.settings.get("resources", {}).get("instance_count", "1")) for node in nodes.values()]
        holds = all(count.isdecimal() and int(count) <= policy.max_instances for count in counts)
        seen = max(counts, key=lambda count: (len(count), count), default="1")
        yield Verdict("policy: instances", f"at most {policy.max_instances} for a step", seen, holds)


def _manifest(
    order: PipelineOrder,
    seen: RegisteredComponents,
    content: _Content,
    verdicts: Sequence[Verdict],
    made_by: Sequence[Author],
) -> RunManifest:
    run = order.stage.run
    manifest = RunManifest(
        digest="",
        pipeline=seen.pipeline,
        job=order.command.candidate.version,
        components={name: each.digest[:DIGEST_LENGTH] for name, each in content.components.items()},
        inputs=content.inputs,
        compute=run.compute,
        identity=run.identity or "",
        nodes=content.nodes,
    )
    everything = {
        # The settings name the definition.
        "manifest": {name: value for name, value in as_evidence(manifest).items() if name != "definition"},
        "components": {name: each.digest for name, each in content.components.items()},
        "settings": order.settings.frozen(),
        "gates": [asdict(verdict) for verdict in verdicts],
        "authors": sorted(author.id for author in made_by),
        "outputs": dict(seen.graph.outputs),
    }
    return replace(manifest, digest=digest_of(everything)[:DIGEST_LENGTH], definition=seen.definition)
