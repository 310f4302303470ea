"""What a job needs, checked while it is submitted: its assets, within reach of its region, and its compute."""

from collections.abc import Iterator

from localcloud.azureml.assets import Assets
from localcloud.azureml.job_identity import SERVERLESS, refuse_foreign
from localcloud.azureml.scopes import Scope
from localcloud.azureml.wire import AzureError, Json

#: Fields of a job, or of a node of a pipeline, that name an asset.
_ASSETS = ("componentId", "environmentId", "environment", "codeId")
#: How ids of assets begin. Anything else is a path, or is described in the job itself.
_ASSET_IDS = ("azureml:/subscriptions/", "/subscriptions/", "azureml://registries/")


class JobRequirements:
    def __init__(self, assets: Assets) -> None:
        self._assets = assets

    def refuse_unmet(self, workspace: Scope, job: Json) -> None:
        """Raises a 400 for an asset out of reach or missing, and for a compute or identity that the workspace does not
        have."""
        references = [reference for reference in _references(job) if reference.startswith(_ASSET_IDS)]
        self._assets.refuse_out_of_reach(workspace, references)
        for reference in references:
            if not self._assets.is_public(reference) and not self._assets.find(reference):
                raise AzureError(400, "UserError", f"Could not find asset with ID: {reference}.")
        for compute in _computes(job):
            if compute.lower() != SERVERLESS and not workspace.has_compute(compute):
                raise AzureError(
                    400, "UserError", f"The compute {compute} was not found in the workspace {workspace.name}."
                )
        for each in _job_and_nodes(job):
            refuse_foreign(workspace, {"computeId": _default_compute(job), **_given(each)})


def _default_compute(job: Json) -> str:
    return str((job.get("settings") or {}).get("default_compute") or "")


def _given(each: Json) -> Json:
    return {key: value for key, value in each.items() if value}


def _references(job: Json) -> Iterator[str]:
    for each in _job_and_nodes(job):
        yield from (str(each[key]) for key in _ASSETS if isinstance(each.get(key), str))
        yield from (str((given or {}).get("uri") or "") for given in (each.get("inputs") or {}).values())


def _computes(job: Json) -> Iterator[str]:
    """The names of the computes that the job and its nodes name."""
    settings = job.get("settings") or {}
    named = [settings.get("default_compute"), *(each.get("computeId") for each in _job_and_nodes(job))]
    yield from (str(each).rsplit("/", 1)[-1].removeprefix("azureml:") for each in named if each)


def _job_and_nodes(job: Json) -> list[Json]:
    return [job, *(job.get("jobs") or {}).values()]
