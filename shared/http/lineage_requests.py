"""Lineage over HTTP: where a serving model comes from, and which serving models came from something.

Uses only champions and their evidence, so it is as fast as a list and shows what was recorded then, not now.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.core.messages import Candidate, Champion, Kind
from shared.core.promotion import Lane, Promotion, StageRun
from shared.http import lineage_nodes, listing, refusals
from shared.http.lineage_evidence import Seen, registered
from shared.http.lineage_nodes import Node
from shared.ports import Store

if TYPE_CHECKING:
    from shared.config import Configuration

#: What can be asked for with `of`.
KINDS = (
    "model",
    "data",
    "job",
    "commit",
    "code",
    "environment",
    "component",
    "pipeline",
    "promotion",
    "evaluation",
    "test",
)

#: In hexadecimal digits: as git shortens a commit.
_SHORTEST_COMMIT = 7
_PAGE = 200
#: More than any app has. An endpoint is not searched for beyond them.
_MOST_LANES = 20_000


@dataclass(frozen=True)
class Wanted:
    """What is looked for: a kind and a name, and a version where it is named."""

    kind: str
    name: str
    version: str | None

    @classmethod
    def parse(cls, reference: str) -> "Wanted":
        """Read `data:churn-sample:7`, `data:churn-sample` or `commit:f00ba12`. Raises ValueError in words."""
        kind, _, rest = reference.partition(":")
        name, _, version = rest.partition(":")
        if kind not in KINDS or not name:
            raise ValueError(
                f"of: {reference[:100]!r} names nothing; write KIND:NAME or KIND:NAME:VERSION, where KIND is one of "
                f"{', '.join(KINDS)}"
            )
        if kind == "commit" and len(name) < _SHORTEST_COMMIT:
            raise ValueError(f"of: {name[:100]!r} is too short for a commit; give at least {_SHORTEST_COMMIT} digits")
        return cls(kind, name, version or None)

    def is_met_by(self, node: Node) -> bool:
        if node.kind != self.kind:
            return False
        if self.kind == "commit":
            return node.name.casefold().startswith(self.name.casefold())
        return node.name == self.name and self.version in (None, node.version)


class LineageRequests:
    """Answers requests about lineage. Thread-safe."""

    def __init__(self, store: Store, configuration: Callable[[], "Configuration"]) -> None:
        self._store = store
        self._configuration = configuration

    def of_endpoint(self, environment: str, endpoint: str) -> dict[str, Any]:
        """Return the tree of each champion that serves this endpoint: usually one."""
        found = []
        for lane in self._lanes():
            for stage, champion in lane.champions.items():
                run = self._serving(champion, stage, endpoint)
                if run is not None and run[1].environment == environment:
                    found.append(self._tree(champion, *run).document())
        if not found:
            raise self._nothing_serves(environment, endpoint)
        return {"environment": environment, "endpoint": endpoint, "serves": found}

    def leading_from(self, url: str, query: Mapping[str, str]) -> dict[str, Any]:
        """Return what serves that came from the thing that `of` names, in pages of lanes."""
        try:
            asked = listing.read_lineage(query)
            wanted = Wanted.parse(asked.of)
            page = self._store.lanes(None, None, asked.top, asked.continuation)
        except ValueError as fault:
            raise refusals.BadRequestError(str(fault)) from fault
        found = [each for lane in page.lanes for each in self._found(lane, wanted)]
        return {"value": found, "next_link": listing.next_link(url, query, page.following)}

    def _lanes(self) -> Iterator[Lane]:
        following, left = None, _MOST_LANES
        while left > 0:
            page = self._store.lanes(None, None, _PAGE, following)
            yield from page.lanes
            following, left = page.following, left - _PAGE
            if following is None:
                return

    def _serving(self, champion: Champion, stage: str, endpoint: str) -> tuple[Promotion, StageRun] | None:
        """The champion's promotion and its stage, if the champion serves this endpoint. Azure ignores case."""
        deployed = Seen.of(champion.evidence).deployed
        elsewhere = deployed is not None and deployed.endpoint.casefold() != endpoint.casefold()
        if champion.candidate.kind is not Kind.MODEL or elsewhere:
            return None
        run = self._run(champion, stage)
        return run if run is not None and run[1].endpoint.casefold() == endpoint.casefold() else None

    def _run(self, champion: Champion, stage: str) -> tuple[Promotion, StageRun] | None:
        found = self._store.promotion(champion.promotion)
        run = found[0].stage(stage) if found else None
        return (found[0], run) if found and run else None

    def _tree(self, champion: Champion, promotion: Promotion, stage: StageRun) -> Node:
        seen = Seen.of(champion.evidence)
        facts = {"stage": stage.name, "since": champion.since.isoformat()}
        serves = f"{stage.environment}/{stage.endpoint}"
        return lineage_nodes.endpoint(serves, facts, seen, self._promotion(promotion, seen))

    def _promotion(self, promotion: Promotion, seen: Seen) -> Node:
        facts = {
            "route": promotion.lane.route,
            "candidate": promotion.candidate.kind.value,
            "model": promotion.candidate.name,
            "version": promotion.candidate.version,
            "requested_by": promotion.requested_by,
            "created": promotion.created.isoformat(),
        }
        came_from = lineage_nodes.of_evidence(seen, self._trained_by(promotion.candidate, seen))
        names = lineage_nodes.names_of_workspaces(seen, promotion.candidate.workspace)
        return lineage_nodes.with_names(Node("promotion", promotion.id, facts=facts, came_from=came_from), names)

    def _trained_by(self, candidate: Candidate, seen: Seen) -> Node | None:
        """The promotion of a pipeline whose run registered the candidate. A tag can say anything, so the promotion must
        say the same."""
        named = lineage_nodes.trained_by(seen) if candidate.kind is Kind.MODEL else None
        made = (candidate.name, candidate.version)
        found = self._store.promotion(named) if named else None
        stage = next((each for each in found[0].stages if made in registered(each)), None) if found else None
        return self._promotion(found[0], Seen.of(found[0].evidence_for(stage))) if found and stage else None

    def _found(self, lane: Lane, wanted: Wanted) -> Iterator[dict[str, Any]]:
        for name, champion in lane.champions.items():
            if champion.candidate.kind is not Kind.MODEL:
                continue
            run = self._run(champion, name)
            if run is None:
                continue
            promotion, stage = run
            way = _way(self._tree(champion, promotion, stage), wanted)
            if way:
                yield {
                    "environment": stage.environment,
                    "endpoint": stage.endpoint,
                    "route": lane.key.route,
                    "model": lane.key.model,
                    "stage": name,
                    "version": champion.candidate.version,
                    "promotion": champion.promotion,
                    "since": champion.since.isoformat(),
                    "way": way,
                }

    def _nothing_serves(self, environment: str, endpoint: str) -> refusals.NotThereError:
        known = self._configuration().environments
        if environment not in known:
            text = f"There is no environment {environment[:100]}. Configured are {', '.join(known)}."
        else:
            text = (
                f"Nothing that was promoted serves endpoint {endpoint[:100]} of {environment}. What serves each stage: "
                "`mlpromote routes`."
            )
        return refusals.NotThereError(text, {"see": "/api/routes"})


def _way(node: Node, wanted: Wanted) -> list[str]:
    """From what serves to what is wanted, as references; empty where it did not come from that."""
    if wanted.is_met_by(node):
        return [node.reference]
    for below in node.came_from:
        way = _way(below, wanted)
        if way:
            return [node.reference, *way]
    return []
