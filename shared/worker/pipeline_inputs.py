"""Binds the inputs of a pipeline in a stage: to versions of data in that workspace, and to values."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from shared.config.wording import did_you_mean
from shared.core import asset_names
from shared.core.messages import Failed, FailureKind
from shared.ports import Bound
from shared.worker import data_assets
from shared.worker.pipeline_graph import PipelineInput
from shared.worker.pipeline_order import PipelineOrder, is_in

_DATA = re.compile(r"(?:azureml:)?(?P<name>[^:@/]+)(?::(?P<version>[^:@/]+)|@latest)")


@dataclass(frozen=True)
class Given:
    """What one input is bound to. The version of data is pinned before people are asked, and stays the same."""

    value: str = ""
    data: str = ""  #: id of the data asset
    name: str = ""  #: of the data asset
    version: str = ""
    kind: str = ""  #: of the data: uri_folder, …
    mode: str = ""

    @property
    def words(self) -> str:
        return f"{self.name}:{self.version}" if self.data else self.value

    @property
    def bound(self) -> Bound:
        return Bound(self.value, self.data, self.kind, self.mode)


def given(
    order: PipelineOrder, inputs: Mapping[str, PipelineInput], before: Mapping[str, Given]
) -> Mapping[str, Given] | Failed:
    """Bind all inputs. `before` has the earlier bindings, so that `@latest` keeps its version."""
    asked = order.stage.run.inputs
    for name in asked:
        if name not in inputs:
            return _wrong(order, f"has no input {name}; {did_you_mean(name, inputs)}. Correct `run: inputs` of")
    found: dict[str, Given] = {}
    for name, declared in sorted(inputs.items()):
        one = _data(order, name, declared, before.get(name)) if declared.data else _value(order, name, declared)
        if isinstance(one, Failed):
            return one
        found[name] = one
    return found


def _value(order: PipelineOrder, name: str, declared: PipelineInput) -> Given | Failed:
    value = order.stage.run.inputs.get(name, declared.default)
    if value is None:
        return _wrong(order, f"needs a value for its input {name}. Add it to `run: inputs` of")
    return Given(value)


def _data(order: PipelineOrder, name: str, declared: PipelineInput, before: Given | None) -> Given | Failed:
    asked = order.stage.run.inputs.get(name)
    if asked is None:
        return _wrong(
            order, f"needs data for its input {name}: a data asset of this workspace. Add it to `run: inputs` of"
        )
    shared = asset_names.read(asked)
    if shared is not None and shared.kind == "data" and is_in(order.registry, asked):
        return Given("", asked, shared.name, shared.version, declared.data, declared.mode)
    parts = _DATA.fullmatch(asked)
    if parts is None:
        return _wrong(order, f"needs data for its input {name}, NAME:VERSION or NAME@latest, not {asked!r}. Correct")
    version = parts["version"] or (before.version if before is not None else None)
    asset = data_assets.usable(order, parts["name"], version, "correct `run: inputs` of the stage")
    if isinstance(asset, Failed):
        return asset
    if asset.type and asset.type != declared.data:
        return _wrong(
            order,
            f"needs {declared.data} for its input {name}, but {asset.name}:{asset.version} is {asset.type}. Correct",
        )
    return Given("", asset.asset_id, asset.name, asset.version, declared.data, declared.mode)


def _wrong(order: PipelineOrder, what: str) -> Failed:
    text = f"Pipeline {order.command.candidate.name} {what} stage {order.command.stage}, and start a new promotion."
    return Failed(text, FailureKind.BAD_CONFIG)
