"""The records of jobs: what a GET of one answers, where its outputs are, and the events that its changes raise."""

import copy
import re
from dataclasses import dataclass
from pathlib import Path

from localcloud.azureml.compute.tracking import RunInfo, Tracking, TrackingError
from localcloud.azureml.events import Outbox, run_data
from localcloud.azureml.pipeline_graph import OF_NODE
from localcloud.azureml.rights import Caller
from localcloud.azureml.scopes import PROVIDER, Scope
from localcloud.azureml.storage import ARTIFACT_DATASTORE, DEFAULT_DATASTORE, Storage
from localcloud.azureml.store import Resource, Store, system_data
from localcloud.azureml.wire import Json, timestamp

TERMINAL = ("Completed", "Failed", "Canceled")
RUN_TYPES = {"Command": "azureml.scriptrun", "Pipeline": "azureml.PipelineRun"}
STEP_RUN = "azureml.StepRun"  # a child of a pipeline
_MLFLOW_STATUS = {"Completed": "FINISHED", "Failed": "FAILED", "Canceled": "KILLED"}
_JOB_OUTPUT = re.compile(r"azureml://jobs/(?P<job>[^/]+)/outputs/(?P<output>[^/]+)(?:/paths)?(?:/(?P<path>.*))?")
#: MLflow's way to name an artifact of a run.
_RUN_ARTIFACT = re.compile(r"runs:/(?P<run>[^/]+)/(?P<path>.+)")
#: Names for what every job leaves behind without declaring it: its log and its MLflow artifacts.
_ARTIFACTS = ("artifacts", "default")


@dataclass(frozen=True)
class NewJob:
    """A job to record."""

    name: str
    properties: Json
    caller: Caller
    parent: Resource | None = None  #: the pipeline that it is a step of
    schedule: str | None = None  #: name of the schedule that started it
    fingerprint: str | None = None  #: of a step whose results can be reused


class JobRecords:
    """Keeps the jobs of all workspaces, with one MLflow tracking store per workspace (by its path)."""

    def __init__(self, store: Store, storage: Storage, outbox: Outbox, trackings: dict[str, Tracking]) -> None:
        self._store = store
        self._storage = storage
        self._outbox = outbox
        self._trackings = trackings

    def get(self, workspace: Scope, name: str) -> Resource | None:
        return self._store.get(f"{workspace.path}/jobs/{name}")

    def save(self, job: Resource) -> None:
        self._store.put(job)

    def shown(self, job: Resource) -> Json:
        """What a GET of the job answers: everything but the places of outputs that the platform chose.

        For a child of a pipeline, only that it exists, as recorded: the rest is in run history.
        """
        body = copy.deepcopy(job.body)
        if job.private.get("parent"):
            del body["properties"]
            return body
        outputs = body["properties"]["outputs"]
        for output in job.private["placed"]:
            outputs[output]["uri"] = None
        for declared in outputs.values():
            declared.pop(OF_NODE, None)
        return body

    def submitted(self, workspace: Scope) -> list[Resource]:
        """The jobs that were submitted, newest first; children of pipelines are not among them."""
        return self._with_parent(workspace, None)

    def children(self, workspace: Scope, name: str) -> list[Resource]:
        return self._with_parent(workspace, name)

    def root(self, job: Resource) -> str:
        """The name of the submitted job to which this one belongs."""
        return str(job.private.get("root") or job.name)

    def unfinished(self, workspace: Scope) -> list[Resource]:
        return [
            job for job in self._store.collection(f"{workspace.path}/jobs") if job.properties["status"] not in TERMINAL
        ]

    def create(self, workspace: Scope, new: NewJob) -> Resource:
        """Records a job as Starting, with a place for each output."""
        name, caller, parent = new.name, new.caller, new.parent
        path = f"{workspace.path}/jobs/{name}"
        given = {key: value for key, value in new.properties.items() if value is not None}
        job_type = str(given.get("jobType") or "Command")
        outputs = _outputs(name, given)
        placed = [output for output in outputs if not ((given.get("outputs") or {})[output] or {}).get("uri")]
        job = Resource(
            path,
            {
                "id": path,
                "name": name,
                "type": f"{PROVIDER}/workspaces/jobs",
                "properties": {
                    "experimentName": "Default",
                    "displayName": name,
                    "isArchived": False,
                    "tags": {},
                    "properties": {},
                    **given,
                    "inputs": kept_inputs(given.get("inputs") or {}),
                    "jobType": job_type,
                    "outputs": outputs,
                    "status": "Starting",
                    "services": _services(name),
                },
                "systemData": system_data(None, caller.name or caller.client_id, caller.kind),
            },
            {
                "creator": caller.creator,
                "parent": parent.name if parent else None,
                "root": self.root(parent) if parent else None,
                "type": STEP_RUN if parent and job_type == "Command" else RUN_TYPES.get(job_type),
                "placed": placed,
                "schedule": new.schedule,
                "fingerprint": new.fingerprint,
            },
        )
        with self._store.transaction():
            self._store.put(job)
            self._trackings[workspace.path].start_run(
                name,
                job.properties["experimentName"],
                _run_tags(job),
                RunInfo(str(job.properties["displayName"]), caller.client_id),
            )
            self._outbox.run_status_changed(workspace, _run_data(job), "Starting")
        return job

    def change(self, workspace: Scope, name: str, status: str, error: str | None = None) -> None:
        """Changes a job's status; `error` is the text for a failure.

        A job that has ended stays as it is, and one that is being cancelled until it ends.
        """
        job = self.get(workspace, name)
        if not job or job.properties["status"] in TERMINAL:
            return
        if job.properties["status"] == "CancelRequested" and status not in TERMINAL:
            return
        job.properties["status"] = status
        moments = job.private.setdefault("moments", {})
        moments[status] = timestamp()
        if error:
            job.private["error"] = error
        data = _run_data(job)
        with self._store.transaction():
            self._store.put(job)
            self._outbox.run_status_changed(workspace, data, status)
            if status == "Completed":
                self._outbox.run_completed(workspace, data)
            if status in TERMINAL:
                # In another database: if this process dies before the commit, job and run both fail as interrupted.
                self._trackings[workspace.path].end_run(name, _MLFLOW_STATUS[status])

    def completed_step(self, workspace: Scope, fingerprint: str) -> Resource | None:
        """The newest step with this fingerprint that ran and completed."""
        for job in reversed(self._store.collection(f"{workspace.path}/jobs")):
            same = job.private.get("fingerprint") == fingerprint and not job.private.get("reused")
            if same and job.properties["status"] == "Completed":
                return job
        return None

    def step_under_way(self, workspace: Scope, pipeline: str, fingerprint: str) -> Resource | None:
        """The step of this pipeline with this fingerprint that runs, or is about to."""
        for job in self.children(workspace, pipeline):
            same = job.private.get("fingerprint") == fingerprint and not job.private.get("reused")
            if same and job.properties["status"] not in TERMINAL:
                return job
        return None

    def reuse(self, step: Resource, earlier: Resource) -> None:
        """Gives a step the outputs and artifacts of an earlier run."""
        for name, declared in step.properties["outputs"].items():
            declared["uri"] = earlier.properties["outputs"][name]["uri"]
        step.private["reused"] = earlier.name
        self._store.put(step)

    def take_outputs(self, workspace: Scope, pipeline: str, node: Resource, names: dict[str, str]) -> None:
        """Moves the outputs of a pipeline that come from a node to where the node has them, which is elsewhere if the
        node reuses an earlier run. `names` has the pipeline's names of outputs by the node's.
        """
        found = self.get(workspace, pipeline)
        if not found:
            return
        outputs = found.properties["outputs"]
        places = {
            names[name]: declared["uri"] for name, declared in node.properties["outputs"].items() if name in names
        }
        if any(outputs[name]["uri"] != place for name, place in places.items()):
            for name, place in places.items():
                outputs[name]["uri"] = place
            self._store.put(found)

    def container(self, workspace: Scope, run: str) -> str:
        """Azure's `dataContainerId`, where the artifacts of a run are: its own, or that of the run that it reuses."""
        job = self.get(workspace, run)
        return f"dcid.{(job and job.private.get('reused')) or run}"

    def _with_parent(self, workspace: Scope, parent: str | None) -> list[Resource]:
        jobs = self._store.collection(f"{workspace.path}/jobs")
        return [job for job in reversed(jobs) if job.private.get("parent") == parent]

    def artifacts(self, workspace: Scope, name: str) -> Path:
        """The folder of a job's log and MLflow artifacts."""
        return self._storage.blob(workspace.account, ARTIFACT_DATASTORE, self.artifacts_path(workspace, name))

    def artifacts_path(self, workspace: Scope, name: str) -> str:
        """Where a job's artifacts are in the artifact datastore."""
        return f"ExperimentRun/{self.container(workspace, name)}"

    def output_uri(self, workspace: Scope, uri: str) -> tuple[str, str] | None:
        """The datastore URI behind `azureml://jobs/JOB/outputs/NAME/…` or `runs:/RUN/…`, and the job; None for others.

        ValueError says which job, run or output is missing.
        """
        if artifact := _RUN_ARTIFACT.fullmatch(uri):
            return self._run_artifact(workspace, artifact["run"], artifact["path"].strip("/"))
        found = _JOB_OUTPUT.fullmatch(uri)
        if not found:
            return None
        job = self.get(workspace, found["job"])
        if not job:
            raise ValueError(f"Job {found['job']} was not found in {workspace.name}")
        path = (found["path"] or "").strip("/")
        declared = job.properties["outputs"].get(found["output"])
        if declared:
            root = str(declared["uri"]).rstrip("/")
        elif found["output"] in _ARTIFACTS:
            root = self._storage.datastore_uri(workspace, self.artifacts_path(workspace, job.name), ARTIFACT_DATASTORE)
        else:
            raise ValueError(f"Job {job.name} has no output {found['output']}")
        return (f"{root}/{path}" if path else root), job.name

    def _run_artifact(self, workspace: Scope, run: str, path: str) -> tuple[str, str]:
        try:
            self._trackings[workspace.path].run(run)
        except TrackingError as error:
            raise ValueError(f"Run {run} was not found in {workspace.name}") from error
        place = f"{self.artifacts_path(workspace, run)}/{path}"
        return self._storage.datastore_uri(workspace, place, ARTIFACT_DATASTORE), run


def _run_tags(job: Resource) -> dict[str, str]:
    """The tags of a job's MLflow run, by which the children of a pipeline can be found."""
    tags = {str(key): str(value) for key, value in job.properties["tags"].items()}
    parent = job.private["parent"]
    return {**tags, "mlflow.parentRunId": parent} if parent else tags


def _outputs(name: str, given: Json) -> Json:
    """Each declared output with the defaults of its type and mode, and a place."""
    return {
        output: {
            "jobOutputType": "uri_folder",
            "mode": "ReadWriteMount",
            "uri": f"azureml://datastores/{DEFAULT_DATASTORE}/paths/azureml/{name}/{output}/",
            **{key: value for key, value in (declared or {}).items() if value},
        }
        for output, declared in (given.get("outputs") or {}).items()
    }


def kept_inputs(inputs: Json) -> Json:
    """Inputs as the service keeps them: data is mounted unless it is said otherwise."""

    def kept(declared: Json | None) -> Json | None:
        if not declared or str(declared.get("jobInputType", "literal")).lower() == "literal":
            return declared
        return {"mode": "ReadOnlyMount", **{key: value for key, value in declared.items() if value is not None}}

    return {name: kept(declared) for name, declared in inputs.items()}


def _services(name: str) -> Json:
    endpoints = {"Tracking": "azureml://mlflow.local.test/", "Studio": f"https://studio.local.test/runs/{name}"}
    return {service: {"jobServiceType": service, "endpoint": endpoint} for service, endpoint in endpoints.items()}


def _run_data(job: Resource) -> Json:
    properties = job.properties
    return run_data(
        job.name,
        str(properties["experimentName"]),
        str(job.private["type"]),
        properties["tags"],
        properties["properties"],
    )
