"""Rebuilds the components of a pipeline in the registry: each with a name, and a digest of its content as its version.

So the same pipeline twice is one version of each. Code assets are named by their content, too. What is there already
is compared, and never taken on trust.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from shared.core import asset_names
from shared.core.messages import Failed, FailureKind
from shared.core.replacing import replace
from shared.ports import BusyError, Component, Node
from shared.worker.pipeline_content import VERSION_LENGTH, Snapshot, component_digest, snapshot
from shared.worker.pipeline_environments import Pending, UsedEnvironment, in_registry
from shared.worker.pipeline_order import PipelineOrder, is_in
from shared.worker.pipeline_source import Source
from shared.worker.polls import asks_again

#: Of a file's path and a command, in evidence.
LONGEST_PATH = 120
LONGEST_COMMAND = 200
#: Files that are shown of all components together.
MOST_FILES = 40

#: The name of components that are described in a job.
_ANONYMOUS = "azureml_anonymous"
_LONGEST_NAME = 200
_CODE_VERSION = "1"


@dataclass(frozen=True)
class PromotedComponent:
    """A component in the registry, as it was when people reviewed it."""

    component: str  #: its id
    digest: str  #: of its command, its inputs and outputs, its code and its environment
    command: str  #: the beginning
    code: str = ""  #: id of its code asset
    code_digest: str = ""
    files: Mapping[str, str] = field(default_factory=dict)  #: SHA-256 by path
    files_left_out: int = 0  #: which are in the digest all the same
    environment: str = ""
    environment_digest: str = ""


@dataclass(frozen=True)
class Known:
    """State for the next poll: digests of code that cannot change, by its id."""

    codes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Wanted:
    """A component to register."""

    name: str
    version: str
    component: Component
    code_digest: str
    environment: UsedEnvironment
    digest: str


class Rebuilding:
    """One poll over all components of a pipeline. Afterwards `known` is the state for the next poll."""

    def __init__(self, order: PipelineOrder, source: Source) -> None:
        self._order = order
        self._workspace = order.workspace
        self._source = source
        self._codes = dict((order.state(Known) or Known()).codes)
        self._starts = asks_again(order.command)
        self._begun: set[str] = set()
        self.pending: list[str] = []

    @property
    def known(self) -> Known:
        return Known(self._codes)

    def components(self) -> Mapping[str, PromotedComponent] | Failed:
        """Return the registered component of each step. If some are not there yet, they are `pending`."""
        there: dict[str, tuple[str, str]] = {}
        for name, node in sorted(self._source.graph.nodes.items()):
            asset = self._registered(name, node)
            if isinstance(asset, Failed):
                return replace(asset, reason=f"Step {name}: {asset.reason}")
            if asset is not None:
                there[name] = asset
        if self.pending:
            return {}
        found: dict[str, PromotedComponent] = {}
        for name, (component, digest) in there.items():
            seen = looked_at(self._order, component, digest)
            if isinstance(seen, Failed):
                return seen
            found[name] = seen
        return found

    def _registered(self, name: str, node: Node) -> tuple[str, str] | Failed | None:
        component = self._source.component(node.component)
        if component is None:
            return Failed(
                f"Component {node.component} no longer exists in {self._order.command.environment}.",
                FailureKind.NOT_FOUND,
            )
        place = asset_names.place(node.component)
        if place is not None and place.registry is not None:
            return self._already_there(node.component)
        override = str(node.settings.get("environment") or "")
        asked = replace(component, environment=override) if override else component
        environment = in_registry(self._order, self._source.environment, asked.environment, self._starts)
        code = self._code(asked)
        if isinstance(environment, Failed):
            return environment
        if isinstance(code, Failed):
            return code
        if isinstance(environment, Pending):
            self.pending.append(environment.says)
        if isinstance(environment, Pending) or code is None:
            return None
        return self._component(_wanted(_name(self._order, name, node), asked, code, environment))

    def _code(self, component: Component) -> tuple[str, str] | Failed | None:
        """Return the registry id and the digest of a component's code; None while it is being copied."""
        if not component.code:
            return "", ""
        files: Mapping[str, bytes] | None = None
        digest = self._codes.get(component.code, "")
        if not digest:
            files = self._source.code(component.code)
            if not files:
                return Failed(f"The code {component.code} no longer exists.", FailureKind.NOT_FOUND)
            digest = snapshot(files).digest
            if self._source.is_fixed(component.code):
                self._codes[component.code] = digest
        name = f"mlpromote-{digest[:VERSION_LENGTH]}"
        asset = self._workspace.registry_id("codes", name, _CODE_VERSION)
        if self._workspace.has_code(asset):
            return asset, digest
        if self._starts and asset not in self._begun:
            self._begun.add(asset)
            files = files if files is not None else self._source.code(component.code)
            self._begin(lambda: self._workspace.start_code(name, _CODE_VERSION, files or {}))
        self.pending.append("the registry is receiving code")
        return None

    def _component(self, wanted: _Wanted) -> tuple[str, str] | None:
        """Return its id and digest; None while it is being registered."""
        asset = self._workspace.registry_id("components", wanted.name, wanted.version)
        if self._workspace.component(asset) is not None:
            return asset, wanted.digest
        if self._starts and asset not in self._begun:
            self._begun.add(asset)
            tags = {"mlpromote.digest": wanted.digest, "mlpromote.job": self._order.command.candidate.version}
            self._begin(lambda: self._workspace.start_component(wanted.name, wanted.version, wanted.component, tags))
        self.pending.append(f"the registry is registering component {wanted.name}")
        return None

    def _already_there(self, component: str) -> tuple[str, str] | Failed:
        if is_in(self._order.registry, component):
            return component, ""
        return Failed(
            f"Component {component} is not in registry {self._order.registry} but in another one. Register it in "
            f"{self._order.registry}, and use that one.",
            FailureKind.REFUSED,
        )

    def _begin(self, start: Callable[[], None]) -> None:
        try:
            start()
        except BusyError as fault:
            self.pending.append(str(fault))


def _wanted(name: str, asked: Component, code: tuple[str, str], environment: UsedEnvironment) -> _Wanted:
    """`code`: its id in the registry, and its digest."""
    component = replace(asked, code=code[0], environment=environment.asset_id)
    digest = component_digest(component, code[1], environment.digest)
    return _Wanted(name, digest[:VERSION_LENGTH], component, code[1], environment, digest)


def _name(order: PipelineOrder, step: str, node: Node) -> str:
    """The source's, or one of the pipeline's and its step's where a component has none."""
    named = asset_names.read(node.component)
    has_name = named is not None and named.name.lower() != _ANONYMOUS
    return _valid(named.name if named and has_name else f"{order.command.candidate.name}_{step}")


def _valid(name: str) -> str:
    """Return a name that Azure ML accepts for components: lower case, digits and underscores, first a letter."""
    cleaned = re.sub(r"[^a-z0-9_]+", "_", name.lower()).strip("_")[:_LONGEST_NAME]
    return cleaned if cleaned[:1].isalpha() else f"c_{cleaned}"


def looked_at(order: PipelineOrder, asset: str, wanted: str) -> PromotedComponent | Failed:
    """A component of the registry as it is now: its specification, each file of its code, its environment.

    `wanted`: its digest as it must be; empty where any will do.
    """
    workspace = order.workspace
    component = workspace.component(asset)
    if component is None:
        return Failed(
            f"{order.command.environment} cannot find component {asset}. Give its identity read access to the "
            "registry. If the component was deleted, promote the pipeline again.",
            FailureKind.NOT_FOUND,
        )
    files = workspace.code_files(component.code) if component.code else {}
    if files is None:
        return Failed(f"The code {component.code} of component {asset} no longer exists.", FailureKind.NOT_FOUND)
    code = snapshot(files) if component.code else Snapshot()
    environment = in_registry(order, _nowhere_else, component.environment, start=False)
    if isinstance(environment, Failed):
        return environment
    if isinstance(environment, Pending):
        return Failed(f"Environment {component.environment} is not in the registry.", FailureKind.NOT_FOUND)
    digest = component_digest(component, code.digest, environment.digest)
    if wanted and digest != wanted:
        return Failed(
            f"The registry has another component {asset}: its content does not match its version, which is a digest. "
            "Find out who registered it.",
            FailureKind.CONFLICT,
        )
    return PromotedComponent(
        component=asset,
        digest=digest,
        command=str(component.specification.get("command") or "")[:LONGEST_COMMAND],
        code=component.code,
        code_digest=code.digest,
        files=code.files,
        environment=environment.asset_id,
        environment_digest=environment.digest,
    )


def _nowhere_else(_: str) -> None:
    """A component of a registry refers to nothing elsewhere."""


def with_few_files(components: Mapping[str, PromotedComponent]) -> Mapping[str, PromotedComponent]:
    """Return the components for evidence, with a limited number of files."""
    return dict(_shortened(components))


def _shortened(components: Mapping[str, PromotedComponent]) -> Iterator[tuple[str, PromotedComponent]]:
    most = max(1, MOST_FILES // max(1, len(components)))
    for name, each in components.items():
        shown = {path[-LONGEST_PATH:]: digest for path, digest in list(each.files.items())[:most]}
        yield name, replace(each, files=shown, files_left_out=len(each.files) - len(shown))
