"""Reuse of steps: a step with the content, inputs and outputs of an earlier run does not run again.

As on Azure, it is complete at once, its outputs and artifacts are those of the earlier run, and it logs no metrics of
its own. `settings.force_rerun` of the job, or `is_deterministic: false` of the component, makes it run. The name of the
component does not count, and of two equal steps of one pipeline, one runs (source: Microsoft's test_pipeline_reuse).
"""

import hashlib
import json

from localcloud.azureml.job_records import JobRecords
from localcloud.azureml.pipeline_graph import OF_NODE
from localcloud.azureml.scopes import Scope
from localcloud.azureml.store import Resource
from localcloud.azureml.wire import Json

#: What must be the same, beside inputs and outputs. Where a step runs does not matter.
_CONTENT = ("command", "codeId", "environmentId", "environmentVariables")
_OF_AN_OUTPUT = ("jobOutputType", "assetName", "assetVersion", OF_NODE)


class StepReuse:
    def __init__(self, records: JobRecords) -> None:
        self._records = records

    def fingerprint(self, workspace: Scope, pipeline: Resource, specification: Json, step: Json) -> str | None:
        """What must be equal for a step to be reused; None for one that always runs."""
        root = self._records.get(workspace, self._records.root(pipeline)) or pipeline
        if _is_true((root.properties.get("settings") or {}).get("force_rerun")):
            return None
        if not _is_true(specification.get("is_deterministic", True)):
            return None
        content = {
            **{key: step.get(key) for key in _CONTENT},
            "inputs": {name: _kept(given, ("value", "uri")) for name, given in step["inputs"].items()},
            "outputs": {name: _kept(declared, _OF_AN_OUTPUT) for name, declared in step["outputs"].items()},
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def earlier(self, workspace: Scope, pipeline: Resource, fingerprint: str | None) -> Resource | None:
        """The run of the same step to reuse: the newest that has completed, or one of this pipeline under way."""
        if fingerprint is None:
            return None
        return self._records.completed_step(workspace, fingerprint) or self._records.step_under_way(
            workspace, pipeline.name, fingerprint
        )


def notes_of(earlier: Resource) -> Json:
    """What the run of a reused step says about where its results come from."""
    return {
        "azureml.isreused": "true",
        "azureml.reusedrunid": earlier.name,
        "azureml.reusedpipelinerunid": earlier.private["root"],
    }


def _kept(declared: Json | None, keys: tuple[str, ...]) -> Json:
    return {key: declared[key] for key in keys if declared and declared.get(key) is not None}


def _is_true(value: object) -> bool:
    return str(value).lower() == "true"
