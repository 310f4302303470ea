"""Finds a model's authors: who ran its job, and who registered it.

Resources of the control plane name their creator only by a display name, but distinguish people from applications
(`systemData.createdByType`). The object id is in run history (`GET {history}/history/v1.0/{workspace}/runs/{id}`) and
in the data plane of models (`GET {modelmanagement}/modelmanagement/v1.0/{workspace}/models/{name}:{version}`), each
under `createdBy.userObjectId`. Sources: published job documents for the first, the older SDK for the second.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from shared.cloud.azureml_assets import WorkspaceAssets
from shared.cloud.azureml_rest import Rest
from shared.core.approval import Author
from shared.ports import Model

#: An author whom Azure ML does not name.
UNKNOWN = Author("", "unknown", is_person=False)

_PERSON = "User"


def read(rest: Rest, workspace: str, model: Model) -> Iterator[Author]:
    """The author of the job comes first. If a job made the model, whoever registered it counts only if a person:
    otherwise it was the job itself, or this app."""
    assets = WorkspaceAssets(rest, workspace)
    if model.job:
        yield _of_job(rest, assets, model.job)
    registered = _of_model(rest, assets, model)
    if registered.is_person or not model.job:
        yield registered


def of_job(rest: Rest, workspace: str, job: str) -> Author:
    """Who ran a job."""
    return _of_job(rest, WorkspaceAssets(rest, workspace), job)


def _of_job(rest: Rest, assets: WorkspaceAssets, job: str) -> Author:
    run = rest.get(f"{assets.data_plane('history')}/runs/{quote(job, safe='')}") or {}
    made = run.get("createdBy") or {}
    return _author({"userObjectId": run.get("userId"), **made}, assets.job_maker(job))


def _of_model(rest: Rest, assets: WorkspaceAssets, model: Model) -> Author:
    address = f"{assets.data_plane('modelmanagement')}/models/{quote(model.name, safe='')}"
    found = rest.get(f"{address}:{quote(model.version, safe='')}") or {}
    document = assets.model(model.name, model.version) or {}
    return _author(found.get("createdBy") or {}, (document.get("systemData") or {}).get("createdByType"))


def _author(made: Mapping[str, Any], kind: str | None) -> Author:
    if not made.get("userObjectId"):
        return UNKNOWN
    return Author(str(made["userObjectId"]), str(made.get("userName") or made["userObjectId"]), kind == _PERSON)
