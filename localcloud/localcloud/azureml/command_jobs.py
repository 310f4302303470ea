"""Command jobs: finds the files of a job's inputs, code and outputs, and runs it as a real process."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pydantic import TypeAdapter

from localcloud.azureml.asset_bodies import AssetVersion
from localcloud.azureml.assets import Assets
from localcloud.azureml.compute.jobs import DEFAULT_OUTPUT, JobEnd, JobRun, JobRunner
from localcloud.azureml.faults import Faults
from localcloud.azureml.job_identity import JobIdentity, identity_of
from localcloud.azureml.job_records import JobRecords
from localcloud.azureml.pipeline_graph import OF_NODE
from localcloud.azureml.rights import DATA_READER, Caller, Rights
from localcloud.azureml.scopes import Scope
from localcloud.azureml.storage import Storage
from localcloud.azureml.store import Resource
from localcloud.azureml.wire import AzureError, Json
from localcloud.azureml.workspaces import tracking_uri

LOG_LINES = 20
QUEUE_SECONDS = 0.05  # between two checks whether a job may leave the queue
_OUT_OF_QUOTA = (
    "Not enough subscription CPU quota. The amount of CPU quota requested for this job's compute exceeds what is left"
    " in this region. Request more quota, or use another size."
)
_MODEL_TYPES = ("mlflow_model", "custom_model", "triton_model")


@dataclass(frozen=True)
class Platform:
    """What every job gets from the platform."""

    base_url: str
    certificate_authority: Path
    start_seconds: float
    environment_build_seconds: float
    runners: Mapping[str, JobRunner]  #: by the path of the workspace


@dataclass(frozen=True)
class JobAccess:
    """Whose identity a job has, what that may read, and where its files are."""

    identity: JobIdentity
    rights: Rights
    storage: Storage


class CommandJobs:
    """Runs command jobs to their end."""

    def __init__(
        self,
        records: JobRecords,
        assets: Assets,
        access: JobAccess,
        faults: Faults,
        platform: Platform,
    ) -> None:
        self._records = records
        self._assets = assets
        self._storage = access.storage
        self._rights = access.rights
        self._identity = access.identity
        self._faults = faults
        self._runners = platform.runners
        self._platform = platform

    async def run(self, workspace: Scope, job: Resource, caller: Caller) -> None:
        """Runs a recorded job; its record says how it ended, and why if it failed."""
        name = job.name
        self._records.change(workspace, name, "Queued")
        await self._wait_for_compute(workspace, job)
        try:
            await self._prepare_environment(workspace, job)
            if self._is_cancelled(workspace, name):
                return
            run = self._prepared(workspace, job, caller)
            self._records.change(workspace, name, "Running")
            end = await self._runners[workspace.path].run(run)
            if end.exit_code == 0 and not end.cancelled:
                self._records.change(workspace, name, "Finalizing")
                self._register_outputs(workspace, job)
        except (AzureError, OSError, ValueError) as error:
            self._records.change(workspace, name, "Failed", f"{error}")
            return
        self._record_end(workspace, name, end)

    async def complete(self, workspace: Scope, job: Resource) -> None:
        """Ends a step that has the results of an earlier run, whose outputs are registered as if it had run."""
        try:
            self._register_outputs(workspace, job)
        except (AzureError, ValueError) as error:
            self._records.change(workspace, job.name, "Failed", f"{error}")
            return
        self._records.change(workspace, job.name, "Completed")

    async def _wait_for_compute(self, workspace: Scope, job: Resource) -> None:
        """Returns when the job has left the queue: it may start, or it was cancelled."""
        await asyncio.sleep(self._platform.start_seconds)
        while True:
            if not self._faults.holds("queueing", job.path) or self._is_cancelled(workspace, job.name):
                return
            await asyncio.sleep(QUEUE_SECONDS)

    async def _prepare_environment(self, workspace: Scope, job: Resource) -> None:
        """Builds the image of an environment of the workspace, at its first use. Registries build their own before."""
        if not self._is_cancelled(workspace, job.name) and self._faults.take({"out_of_quota"}, None, job.path):
            raise ValueError(_OUT_OF_QUOTA)
        environment = self._assets.find(str(job.properties.get("environmentId") or ""))
        seconds = self._platform.environment_build_seconds
        if not seconds or not environment or self._assets.is_built(environment):
            return
        self._records.change(workspace, job.name, "Preparing")
        await asyncio.sleep(seconds)
        self._assets.note_built(environment)

    async def cancel(self, workspace: Scope, name: str) -> None:
        """Ends the job's process, or prevents its start."""
        self._records.change(workspace, name, "CancelRequested")
        if not await self._runners[workspace.path].cancel(name):
            self._records.change(workspace, name, "Canceled")

    def log(self, workspace: Scope, name: str) -> Path:
        """The file that a job writes to, now or in an earlier run."""
        return self._runners[workspace.path].log(name)

    def _is_cancelled(self, workspace: Scope, name: str) -> bool:
        job = self._records.get(workspace, name)
        return job is None or job.properties["status"] in ("CancelRequested", "Canceled")

    def _record_end(self, workspace: Scope, name: str, end: JobEnd) -> None:
        if end.timed_out:
            self._records.change(workspace, name, "Canceled", "The job was cancelled: it took longer than its limit.")
        elif end.cancelled:
            self._records.change(workspace, name, "Canceled")
        elif end.exit_code == 0:
            self._records.change(workspace, name, "Completed")
        else:
            tail = "\n".join(end.log.read_text(errors="replace").splitlines()[-LOG_LINES:])
            words = (
                f"Execution failed. User process exited with status code {end.exit_code}. Please check log file"
                f" 'user_logs/std_log.txt' for error details. Error: {tail}"
            )
            self._records.change(workspace, name, "Failed", words)

    def _prepared(self, workspace: Scope, job: Resource, caller: Caller) -> JobRun:
        """Raises ValueError, which says what cannot be found."""
        properties = job.properties
        environment = str(properties.get("environmentId") or "")
        if environment and not self._assets.is_public(environment) and not self._assets.find(environment):
            raise ValueError(f"Could not find asset with ID: {environment}")
        reader = identity_of(workspace, properties, caller)
        inputs = {
            name: self._input(workspace, name, declared, reader)
            for name, declared in (properties.get("inputs") or {}).items()
            if declared
        }
        outputs = {
            name: self._storage.file(str(declared["uri"]), workspace)
            for name, declared in properties["outputs"].items()
        }
        outputs[DEFAULT_OUTPUT] = self._records.artifacts(workspace, job.name)
        code = properties.get("codeId")
        variables = {
            **self._identity.variables(workspace, properties, job.name, caller),
            **(properties.get("environmentVariables") or {}),
        }
        return JobRun(
            name=job.name,
            root=self._records.root(job),
            command=str(properties.get("command") or ""),
            code=self._asset_files(workspace, str(code)) if code else None,
            inputs=inputs,
            outputs=outputs,
            environment_variables={str(key): str(value) for key, value in variables.items()},
            tracking_uri=tracking_uri(workspace, self._platform.base_url),
            token=self._rights.job_token(caller, job.name),
            experiment=str(properties["experimentName"]),
            certificate_authority=self._platform.certificate_authority,
            file_outputs=frozenset(
                name
                for name, declared in properties["outputs"].items()
                if str(declared["jobOutputType"]).lower() == "uri_file"
            ),
            limit_seconds=_limit_seconds(properties),
        )

    def _input(self, workspace: Scope, name: str, declared: Json, reader: Caller | None) -> str | Path:
        if str(declared.get("jobInputType") or declared.get("job_input_type")).lower() == "literal":
            return str(declared["value"])
        uri = str(declared.get("uri") or "")
        if not uri.startswith("azureml://registries/"):
            self._refuse_unreadable(workspace, name, reader)
        if uri.startswith(("azureml:/subscriptions/", "/subscriptions/", "azureml://registries/")):
            return self._asset_files(workspace, uri)
        origin = self._records.output_uri(workspace, uri)
        files = self._storage.file(origin[0] if origin else uri, workspace)
        if not files.exists():
            raise ValueError(f"There are no files at {uri}, the path of the input {name}")
        return files

    def _refuse_unreadable(self, workspace: Scope, name: str, reader: Caller | None) -> None:
        """Raises a ValueError if the job reads data with its own identity, and that identity may not read it."""
        if not workspace.reads_data_by_identity or (reader and self._rights.reads_data(reader, workspace)):
            return
        who = f"The identity {reader.client_id} of the job" if reader else "The job has no identity, and"
        raise ValueError(
            f"{who} may not read the input {name}: AuthorizationPermissionMismatch, this request is not authorized to"
            f" perform this operation using this permission. It needs the role {DATA_READER} on"
            f" {workspace.storage_account}"
        )

    def _asset_files(self, workspace: Scope, reference: str) -> Path:
        asset = self._assets.find(reference)
        if not asset:
            raise ValueError(f"Could not find asset with ID: {reference}")
        return self._assets.files(asset, workspace)

    def _register_outputs(self, workspace: Scope, job: Resource) -> None:
        """Registers the job's named outputs: models as models, the rest as data."""
        for output, declared in job.properties["outputs"].items():
            if not self._storage.file(str(declared["uri"]), workspace).exists():
                continue
            for named in (declared, declared.get(OF_NODE) or {}):
                if named.get("assetName") and not self._is_registered_already(workspace, job, declared, named):
                    self._register(workspace, job, output, str(named["assetName"]), named.get("assetVersion"))

    def _is_registered_already(self, workspace: Scope, job: Resource, declared: Json, named: Json) -> bool:
        """Whether the run that a step reuses has registered this version."""
        kind = "models" if str(declared["jobOutputType"]).lower() in _MODEL_TYPES else "data"
        version = f"{workspace.path}/{kind}/{named['assetName']}/versions/{named.get('assetVersion')}"
        return bool(job.private.get("reused") and self._assets.find(version))

    def _register(self, workspace: Scope, job: Resource, output: str, name: str, version: str | None) -> None:
        declared = job.properties["outputs"][output]
        output_type = str(declared["jobOutputType"]).lower()
        if output_type in _MODEL_TYPES:
            uri = f"azureml://jobs/{job.name}/outputs/{output}"
            kind, content = "models", {"modelUri": uri, "modelType": output_type}
        else:
            kind, content = "data", {"dataUri": str(declared["uri"]), "dataType": output_type}
        version = str(version or self._assets.next_version(workspace, kind, name))
        self._assets.add(AssetVersion(workspace, kind, name, version), content)


def _limit_seconds(properties: Json) -> float | None:
    """How long the job may run: `limits.timeout`, an ISO 8601 duration. ValueError for anything else."""
    limit = (properties.get("limits") or {}).get("timeout")
    return TypeAdapter(timedelta).validate_python(limit).total_seconds() if limit else None
