"""Reads runs of the workspace's MLflow tracking through its REST API: https://mlflow.org/docs/latest/rest-api.html

A job has a run of the same name. Tracking from outside (a laptop, CI, Databricks) creates a run without a job.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from shared.cloud.azureml_rest import Rest
from shared.ports import Job, StepMetrics

#: Azure ML's terms for MLflow's statuses; others stay unchanged.
_STATUS = {
    "SCHEDULED": "NotStarted",
    "RUNNING": "Running",
    "FINISHED": "Completed",
    "FAILED": "Failed",
    "KILLED": "Canceled",
}
_PARENT = "mlflow.parentRunId"
_NAME = "mlflow.runName"
#: Tags of a run that a job has as properties under another name.
_PROPERTIES = {"mlflow.source.git.repoURL": "azureml.git.repository_uri"}


class Runs:
    """The runs at a workspace's tracking address, if it has one."""

    def __init__(self, rest: Rest, tracking: str | None) -> None:
        self._rest = rest
        self._api = f"https://{tracking.partition('://')[2]}/api/2.0/mlflow" if tracking else None

    def job(self, name: str) -> Job | None:
        """The run in the form of a job; None if it does not exist."""
        run = self._run(name)
        if run is None:
            return None
        info, tags = run.get("info") or {}, dict(_pairs((run.get("data") or {}).get("tags")))
        status = str(info.get("status", ""))
        return Job(
            name=name,
            status=_STATUS.get(status, status),
            experiment=self._experiment(str(info.get("experiment_id", ""))),
            parent=tags.get(_PARENT),
            tags=tags,
            properties={_PROPERTIES.get(key, key): value for key, value in tags.items()},
            is_run=True,
        )

    def metrics(self, name: str) -> dict[str, float]:
        """The last value of each metric. What is no number comes as text: `NaN`."""
        return _metrics(self._run(name) or {})

    def of_steps(self, parent: str, reused_run: Callable[[str], str | None]) -> Iterator[StepMetrics]:
        """Yield the metrics of each run directly below this one, in the order of Azure's answer. A run without metrics
        has those of the run that it reuses, if there is one."""
        experiment = ((self._run(parent) or {}).get("info") or {}).get("experiment_id")
        wanted: dict[str, Any] = {"experiment_ids": [experiment], "filter": f"tags.{_PARENT} = '{parent}'"}
        page = self._rest.post(f"{self._api}/runs/search", wanted) if self._api and experiment else None
        while page:
            for run in page.get("runs", []):
                info, tags = run.get("info") or {}, dict(_pairs((run.get("data") or {}).get("tags")))
                node = str(tags.get(_NAME) or info.get("run_name") or "")
                name = str(info.get("run_id") or info.get("run_uuid"))
                yield StepMetrics(name, node, _metrics(run) or self._of_reused(name, reused_run))
            token = page.get("next_page_token")
            page = self._rest.post(f"{self._api}/runs/search", {**wanted, "page_token": token}) if token else None

    def _of_reused(self, name: str, reused_run: Callable[[str], str | None]) -> dict[str, float]:
        earlier = reused_run(name)
        return self.metrics(earlier) if earlier else {}

    def _run(self, name: str) -> Mapping[str, Any] | None:
        answer = self._rest.get(f"{self._api}/runs/get", run_id=name) if self._api else None
        run: Mapping[str, Any] | None = (answer or {}).get("run")
        return run

    def _experiment(self, number: str) -> str:
        answer = self._rest.get(f"{self._api}/experiments/get", experiment_id=number) or {}
        return str((answer.get("experiment") or {}).get("name", ""))


def _metrics(run: Mapping[str, Any]) -> dict[str, float]:
    found = (run.get("data") or {}).get("metrics", [])
    return {metric["key"]: float(metric["value"]) for metric in found if _is_number(metric.get("value"))}


def _pairs(tags: Any) -> Iterator[tuple[str, str]]:
    for tag in tags or []:
        yield str(tag.get("key")), str(tag.get("value", ""))


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return value in ("NaN", "Infinity", "-Infinity")
    return isinstance(value, (int, float)) and not isinstance(value, bool)
