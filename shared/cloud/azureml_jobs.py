"""Jobs that steps start: submits Azure ML's own YAML, and reads the job, its end, and why it failed."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from azure.core.exceptions import AzureError

from shared.cloud import azureml_job_files
from shared.cloud.azureml_assets import WorkspaceAssets
from shared.cloud.azureml_connection import ConnectedWorkspace
from shared.cloud.azureml_errors import brief
from shared.cloud.azureml_job_comparison import differences
from shared.cloud.azureml_rest import Rest
from shared.core.asset_names import plain_id
from shared.ports import (
    ChildJob,
    DataAsset,
    JobEnd,
    JobFile,
    JobSubmission,
    SubmittedJob,
    UnavailableError,
)

# The API versions that azure-ai-ml 1.35 uses.
_JOBS = "2024-01-01-preview"
_CANCEL = "2023-04-01-preview"
_DATA = "2023-04-01-preview"
_COMPUTES = "2023-08-01-preview"

#: Logs of a job, the most useful first: that of its own code, then that of preparing its machine.
_LOGS = (r"user_logs/std_log.*\.txt", r"azureml-logs/70_driver_log\.txt", r"user_logs/.*", r".*/execution-wrapper\.log")
#: How much of a log is read, from its end.
_MOST_BYTES = 64_000


class JobsOfWorkspace(ConnectedWorkspace):
    """The part of a workspace that implements the port `Jobs`."""

    def own_id(self) -> str:
        with self._rest("find out who it is"):
            token = self._credential.get_token(self._cloud.scope).token
        return _object_id(token)

    def has_compute(self, name: str) -> bool:
        with self._rest(f"read compute {name}") as rest:
            return rest.get(self._address("computes", name), **{"api-version": _COMPUTES}) is not None

    def data_asset(self, name: str, version: str | None) -> DataAsset | None:
        with self._rest(f"read data asset {name}") as rest:
            address, query = self._address("data", name), {"api-version": _DATA}
            if version is None:
                version = ((rest.get(address, **query) or {}).get("properties") or {}).get("latestVersion")
            found = rest.get(f"{address}/versions/{quote(version, safe='')}", **query) if version else None
        if not version or found is None:
            return None
        properties = found.get("properties") or {}
        asset_id = f"{address}/versions/{version}"
        return DataAsset(
            asset_id, name, version, str(properties.get("dataType", "")), bool(properties.get("isArchived"))
        )

    def job_file(self, file: Path) -> JobFile:
        return azureml_job_files.described(file)

    def start_job(self, file: Path, submission: JobSubmission) -> SubmittedJob:
        job = azureml_job_files.load(file, self._bound(submission))
        with self._client(f"submit job {submission.name}") as client:
            client.jobs.create_or_update(job)
        made = self.submitted_job(submission.name)
        if made is None:
            raise UnavailableError(f"Azure ML accepted job {submission.name}, but does not show it yet.")
        return made

    def submitted_job(self, name: str) -> SubmittedJob | None:
        with self._rest(f"read job {name}") as rest:
            found = rest.get(self._address("jobs", name), **{"api-version": _JOBS})
        return _submitted(self._id, found) if found else None

    def job_creator(self, name: str) -> str:
        with self._rest(f"read who submitted job {name}") as rest:
            run = rest.get(f"{self._history(rest)}/runs/{quote(name, safe='')}") or {}
        return str((run.get("createdBy") or {}).get("userObjectId") or run.get("userId") or "")

    def job_differences(self, job: SubmittedJob, file: Path, submission: JobSubmission) -> Sequence[str]:
        with self._rest(f"compare job {job.name} with {file.name}") as rest:
            found = rest.get(self._address("jobs", job.name), **{"api-version": _JOBS}) or {}
            return list(
                differences(rest, found.get("properties") or {}, azureml_job_files.load(file, self._bound(submission)))
            )

    def start_cancellation(self, job: str) -> None:
        with self._rest(f"cancel job {job}") as rest:
            rest.post(f"{self._address('jobs', job)}/cancel", **{"api-version": _CANCEL})

    def child_jobs(self, job: str) -> Sequence[ChildJob]:
        children = []
        with self._rest(f"list the steps of job {job}") as rest:
            address: str | None = f"{self._history(rest)}/runs/{quote(job, safe='')}/children"
            while address:
                page = rest.get(address) or {}
                children += [_child(each) for each in page.get("value", [])]
                address = page.get("nextLink")
        return children

    def job_end(self, name: str) -> JobEnd:
        with self._rest(f"read why job {name} ended") as rest:
            run = rest.get(f"{self._history(rest)}/runs/{quote(name, safe='')}/details") or {}
        return JobEnd(_error(run), _log(run.get("logFiles") or {}))

    def _bound(self, submission: JobSubmission) -> JobSubmission:
        """Return the job, with the ids that it uses for assets."""
        ids = {name: plain_id(self._arm_id(each.asset_id)) for name, each in submission.inputs.items()}
        bound = {name: replace(each, asset_id=ids[name]) for name, each in submission.inputs.items()}
        return replace(submission, inputs=bound)

    def _address(self, kind: str, name: str) -> str:
        return f"{self._id}/{kind}/{quote(name, safe='')}"

    def _history(self, rest: Rest) -> str:
        return WorkspaceAssets(rest, self._id).data_plane("history")


def _submitted(workspace: str, found: Mapping[str, Any]) -> SubmittedJob:
    properties = found.get("properties") or {}
    inputs = properties.get("inputs") or {}
    studio = (properties.get("services") or {}).get("Studio") or {}
    return SubmittedJob(
        name=found["name"],
        workspace=workspace,
        status=str(properties.get("status") or ""),
        tags={name: str(value) for name, value in (properties.get("tags") or {}).items()},
        inputs={name: str(each.get("uri") or each.get("value") or "") for name, each in inputs.items() if each},
        command=str(properties.get("command") or ""),
        code=str(properties.get("codeId") or ""),
        environment=str(properties.get("environmentId") or ""),
        compute=str(properties.get("computeId") or "").rsplit("/", 1)[-1],
        studio=str(studio.get("endpoint") or ""),
    )


def _child(run: Mapping[str, Any]) -> ChildJob:
    return ChildJob(
        str(run.get("runId", "")), str(run.get("displayName") or ""), str(run.get("status") or ""), _error(run)
    )


def _error(run: Mapping[str, Any]) -> str:
    error = (run.get("error") or {}).get("error") or {}
    return f"{error.get('code') or ''}: {error.get('message') or ''}".strip(": ")


def _log(files: Mapping[str, str]) -> str:
    """Return the end of the most useful log, or why it cannot be read; the failure is reported either way."""
    name = next((name for wanted in _LOGS for name in sorted(files) if re.fullmatch(wanted, name)), None)
    if name is None:
        return ""
    from azure.storage.blob import BlobClient  # 0.3 s: only where it is needed

    try:
        with BlobClient.from_blob_url(files[name], retry_total=0) as blob:
            size = blob.get_blob_properties().size
            start = max(0, size - _MOST_BYTES)
            content: bytes = blob.download_blob(offset=start, length=_MOST_BYTES).readall() if size else b""
    except AzureError as fault:  # its text may contain the address, which has a signature
        return f"Its log {name} cannot be read: {brief(str(fault)).partition('http')[0].strip()}"
    text = content.decode(errors="replace")
    return text.partition("\n")[2] if start else text


def _object_id(token: str) -> str:
    """Return the claim `oid` of this identity's access token; empty if the token is not a JWT."""
    parts = token.split(".")
    if len(parts) != 3:
        return ""
    claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    return str(claims.get("oid") or "")
