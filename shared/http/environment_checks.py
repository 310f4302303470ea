"""Health checks of one environment: workspace, registry, rights, event subscriptions, and what its policy needs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.config import ConfigurationFaults
from shared.http.checks import NOBODY, Check, Seen, State
from shared.ports import Capability, EventSubscription, ForbiddenError, Model, RejectedError, Workspace
from shared.worker.order import Rules

if TYPE_CHECKING:
    from shared.config import Policy

_ROLES = {
    Capability.DEPLOY: "AzureML Data Scientist on the workspace",
    Capability.DEPLOY_BATCH: "AzureML Data Scientist on the workspace",
    Capability.INVOKE: "AzureML Data Scientist on the workspace",
    Capability.RUN: "AzureML Data Scientist on the workspace",
    Capability.REGISTER: "AzureML Data Scientist on the workspace",
    Capability.SHARE: "AzureML Registry User on the registry",
    Capability.WATCH: "Monitoring Reader on the workspace",
    Capability.REPLAY: "AzureML Data Scientist on the workspace",
}
_QUOTA = "Set readsQuota: true for it in infra/main.parameters.json, which gives its identity a role that reads quotas."
#: How the address ends at which the app takes events.
_INTAKE = "/api/events"
_REGISTERED = "Microsoft.MachineLearningServices.ModelRegistered"
_ENDED = tuple(f"Microsoft.MachineLearningServices.{name}" for name in ("RunCompleted", "RunStatusChanged"))
_SUBSCRIBE = "Deploy the subscription: azd hooks run postdeploy --service mlpromote."
_BY_HAND = "Check with az eventgrid system-topic event-subscription list, or give the app Reader on its resource group."


@dataclass(frozen=True)
class Doings:
    """What steps do in an environment, besides reading."""

    needed: Sequence[Capability]
    #: What they may do, too, as far as this app knows: a worker alone may not know the routes.
    possible: Sequence[Capability] = ()


@dataclass(frozen=True)
class EnvironmentChecks:
    """Checks one environment with its identity. Each callable returns a part, or raises why it is unavailable."""

    name: str
    is_source: bool  #: models come from here
    doings: Callable[[], Doings]
    workspace: Callable[[], Workspace]
    policy: Callable[[], "Policy | None"]
    rules: Callable[[], Rules]

    def checks(self) -> Iterator[Check]:
        yield Check("workspace", self.name, self._read_workspace)
        yield Check("registry", self.name, self._read_registry)
        yield Check("rights", self.name, self._see_rights)
        yield Check("events", self.name, self._see_events)
        if Capability.DEPLOY in self.doings().needed:
            yield Check("quota", self.name, self._read_quota)
        policy = self._known_policy()
        if policy and policy.source_workspace:
            todo = f"Give the identity of {self.name} Reader on source_workspace of its policy."
            yield Check("source", self.name, self._read_source, todo)
        if policy and policy.taken_by_environment:
            todo = "The table for approvals must exist, and the app must be allowed to write to it."
            yield Check("approvals", self.name, self._read_approvals, todo)

    def _known_policy(self) -> "Policy | None":
        try:
            return self.policy()
        except ConfigurationFaults:  # reported by the check of the workspace
            return None

    def _read_workspace(self) -> str:
        self.workspace().model_versions(NOBODY)
        return "models can be read"

    def _read_registry(self) -> str | Seen:
        workspace = self.workspace()
        workspace.registry_model(NOBODY, "1")
        try:
            region = workspace.missing_region()
        except ForbiddenError:  # reading the workspace is reported by its own check
            return "models can be read; not checked whether it is replicated to the workspace's region"
        if region and {Capability.DEPLOY, Capability.DEPLOY_BATCH, Capability.RUN} & set(self.doings().needed):
            return Seen(
                State.FAULT,
                f"models can be read but not deployed: it is not replicated to {region}, the workspace's region",
                "Add the region to the registry.",
            )
        return "models can be read"

    def _see_rights(self) -> str | Seen:
        workspace, doings = self.workspace(), self.doings()
        missing = {doing: workspace.missing_rights(doing) for doing in doings.needed}
        if lacking := _lacking(missing):
            says = f"its identity may not {'; nor '.join(lacking)}"
            return Seen(State.FAULT, says, f"Give it {_roles_for(missing)}.")
        if any(actions is None for actions in missing.values()):
            says = f"not checked whether its identity may {' and '.join(doings.needed)}: it cannot read its own roles"
            return Seen(State.UNCHECKED, says, "Give it Reader on the workspace and on the registry.")
        may = f"may {' and '.join(doings.needed)}" if doings.needed else "needs only to read"
        possible = {doing: workspace.missing_rights(doing) for doing in doings.possible}
        if lacking := _lacking(possible):
            says = f"{may}; routes are not known here, and its identity may not {'; nor '.join(lacking)}"
            return Seen(State.WARNING, says, f"If a route needs that, give it {_roles_for(possible)}.")
        return may

    def _read_quota(self) -> str | Seen:
        """Without it, promotions start without knowing whether there is room."""
        try:
            known = bool(self.workspace().quotas()) and self.workspace().machine_size(NOBODY) is None
        except ForbiddenError as fault:
            return Seen(State.WARNING, f"it is not known before a deployment whether there is room: {fault}", _QUOTA)
        if not known:
            return Seen(State.UNCHECKED, "Azure reports no quota: it is not known whether there is room")
        return "what is left can be read before a deployment"

    def _see_events(self) -> str | Seen:
        """Check the event subscriptions. Without them a timer still finds new models, but no finished jobs; a step that
        waits for a job goes on polling it."""
        try:
            found = self.workspace().event_subscriptions()
        except ForbiddenError as fault:
            return Seen(State.UNCHECKED, f"not checked whether its events are delivered here: {fault}", _BY_HAND)
        ours = [each for each in found if each.destination.rstrip("/").lower().endswith(_INTAKE)]
        if not ours:
            late = "models are found late, finished jobs never" if self.is_source else "steps that run jobs take longer"
            return Seen(State.WARNING, f"no event subscription delivers to /api/events: {late}", _SUBSCRIBE)
        at_work = [each for each in ours if each.state == "Succeeded"]
        if not at_work:
            says = "; ".join(f"event subscription {each.name} is in state {each.state}" for each in ours)
            return Seen(State.WARNING, says, _SUBSCRIBE)
        if missing := [kind for kind in self._wanted() if not any(_delivers(each, kind) for each in at_work)]:
            return Seen(State.WARNING, f"no event subscription delivers {', '.join(missing)}", _SUBSCRIBE)
        return f"delivered by {', '.join(each.name for each in at_work)}"

    def _wanted(self) -> Sequence[str]:
        return [*((_REGISTERED,) if self.is_source else ()), *_ENDED]

    def _read_source(self) -> str | Seen:
        source = self.rules().source
        if source is None:
            raise LookupError("the policy names no source workspace")
        source.model_versions(NOBODY)
        try:
            source.authors(Model(NOBODY, "1", NOBODY, job=NOBODY))
        except RejectedError as fault:
            says = f"models can be read there; not checked whether their authors can be: {fault}"
            return Seen(State.UNCHECKED, says, "Promote a model: the evidence of validate names its author.")
        return "models and their authors can be read there"

    def _read_approvals(self) -> str:
        approvals = self.rules().approvals
        if approvals is None:
            raise LookupError("there is no table for approvals")
        approvals.request(NOBODY, NOBODY)
        return "approvals can be stored here"


def _delivers(subscription: EventSubscription, kind: str) -> bool:
    included = [each.lower() for each in subscription.event_types]
    return not included or "all" in included or kind.lower() in included


def _lacking(missing: Mapping[Capability, Sequence[str] | None]) -> list[str]:
    return [f"{doing} ({', '.join(actions)})" for doing, actions in missing.items() if actions]


def _roles_for(missing: Mapping[Capability, Sequence[str] | None]) -> str:
    return " and ".join(dict.fromkeys(_ROLES[doing] for doing, actions in missing.items() if actions))
