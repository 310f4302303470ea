"""Jobs of batch deployments of models: a pipeline run with one step, which runs the scoring script on the inputs."""

import shlex
import uuid
from pathlib import Path

from localcloud.azureml.command_jobs import CommandJobs
from localcloud.azureml.job_records import JobRecords, NewJob
from localcloud.azureml.rights import Caller
from localcloud.azureml.scopes import Scope
from localcloud.azureml.store import Resource
from localcloud.azureml.wire import Json

#: The output that every such job has, and the input that its step gets the model by.
SCORE = "score"
_MODEL = "azureml_model"
_STEP = "batchscoring"
#: In a folder of its own, which Python puts on the path of what it runs.
_DRIVER = Path(__file__).with_name("compute") / "batch" / "score_files.py"


class BatchJobs:
    """Runs recorded jobs; what they run is noted in the record when it is made."""

    def __init__(self, records: JobRecords, command_jobs: CommandJobs) -> None:
        self._records = records
        self._command_jobs = command_jobs

    def create(self, workspace: Scope, name: str, deployment: Resource, invocation: Json, caller: Caller) -> Resource:
        """Records the job of an invocation; `invocation` is what the caller sent."""
        properties = {
            "jobType": "Pipeline",
            "displayName": name,
            "experimentName": experiment_of(invocation, deployment),
            "inputs": inputs_of(invocation),
            "outputs": {SCORE: _output(invocation)},
            "jobs": {},
            "settings": {"default_compute": deployment.properties.get("compute")},
        }
        job = self._records.create(workspace, NewJob(name, properties, caller))
        job.private["deployment"] = deployment.path
        job.private["batch"] = {**deployment.properties, **_overrides(invocation)}
        self._records.save(job)
        return job

    async def run(self, workspace: Scope, job: Resource, caller: Caller) -> None:
        """Ends as its step does."""
        self._records.change(workspace, job.name, "Running")
        step = self._create_step(workspace, job, caller)
        await self._command_jobs.run(workspace, step, caller)
        ended = self._records.get(workspace, step.name)
        if ended and ended.properties["status"] == "Completed":
            self._records.change(workspace, job.name, "Completed")
            return
        words = ended.private.get("error", "it was cancelled") if ended else "it is gone"
        self._records.change(workspace, job.name, "Failed", f"The step {_STEP} did not complete: {words}")

    def _create_step(self, workspace: Scope, job: Resource, caller: Caller) -> Resource:
        deployment, inputs = job.private["batch"], dict(job.properties["inputs"])
        code = deployment.get("codeConfiguration") or {}
        data = [name for name, given in inputs.items() if str(given.get("jobInputType")).lower() != "literal"]
        model = str((deployment.get("model") or {}).get("assetId") or "")
        if model:
            inputs[_MODEL] = {"jobInputType": "custom_model", "uri": model}
        properties = {
            "jobType": "Command",
            "displayName": _STEP,
            "experimentName": job.properties["experimentName"],
            "command": _command(deployment, data, bool(model)),
            "codeId": code.get("codeId"),
            "environmentId": deployment.get("environmentId"),
            "environmentVariables": deployment.get("environmentVariables") or {},
            "computeId": deployment.get("compute"),
            # As on Azure, the job runs as whoever invokes the endpoint.
            "identity": {"identityType": "UserIdentity"},
            "inputs": inputs,
            "outputs": {SCORE: dict(job.properties["outputs"][SCORE])},
            "properties": {"azureml.pipelinerunid": job.name, "azureml.rootpipelinerunid": job.name},
        }
        return self._records.create(workspace, NewJob(str(uuid.uuid4()), properties, caller, parent=job))


def experiment_of(invocation: Json, deployment: Resource) -> str:
    """The experiment of an invocation's job: the endpoint's name, unless the caller named one."""
    return str((invocation.get("properties") or {}).get("experimentName") or deployment.path.split("/")[-3])


def inputs_of(invocation: Json) -> Json:
    """An invocation's inputs with the types as jobs write them: `uri_folder` for `UriFolder`."""
    return {
        name: {**given, "jobInputType": _snake_case(str(given.get("jobInputType")))}
        for name, given in (invocation.get("inputData") or {}).items()
    }


def outputs_of(invocation: Json) -> Json:
    """Those that the caller wants elsewhere than where the service puts them."""
    return {
        name: {**given, "jobOutputType": _snake_case(str(given.get("jobOutputType")))}
        for name, given in (invocation.get("outputData") or {}).items()
    }


def _output(invocation: Json) -> Json:
    uri = str(_wanted_output(invocation).get("uri") or "")
    place = uri.rpartition("/")[0] if _output_file(invocation) else uri
    return {"jobOutputType": "uri_folder", **({"uri": place} if place else {})}


def _wanted_output(invocation: Json) -> Json:
    given = outputs_of(invocation)
    wanted: Json = given.get(SCORE) or next(iter(given.values()), {})
    return wanted


def _output_file(invocation: Json) -> str:
    """The name of the file, for an invocation that says where the file itself goes."""
    wanted = _wanted_output(invocation)
    is_file = wanted.get("jobOutputType") == "uri_file"
    return str(wanted.get("uri") or "").rpartition("/")[2] if is_file else ""


def _overrides(invocation: Json) -> Json:
    """What an invocation may set for its own job; an output that is a file has its name."""
    names = ("miniBatchSize", "outputFileName", "errorThreshold", "retrySettings")
    given = {name: invocation[name] for name in names if invocation.get(name) is not None}
    file = _output_file(invocation)
    return {**given, "outputFileName": file} if file else given


def _command(deployment: Json, data: list[str], has_model: bool) -> str:
    script = (deployment.get("codeConfiguration") or {}).get("scoringScript")
    options = {
        "--output-file": deployment["outputFileName"],
        "--output-action": deployment["outputAction"],
        "--mini-batch-size": deployment["miniBatchSize"],
        "--max-retries": deployment["retrySettings"].get("maxRetries", 0),
        "--error-threshold": deployment["errorThreshold"],
    }
    words = ["python", shlex.quote(str(_DRIVER)), f"--output ${{{{outputs.{SCORE}}}}}"]
    words += [f"--script {shlex.quote(str(script))}"] if script else []
    words += [f"--model ${{{{inputs.{_MODEL}}}}}"] if has_model else []
    words += [f"{option} {shlex.quote(str(value))}" for option, value in options.items()]
    return " ".join([*words, "--", *(f"${{{{inputs.{name}}}}}" for name in data)])


def _snake_case(name: str) -> str:
    known = {"urifolder": "uri_folder", "urifile": "uri_file", "mlflowmodel": "mlflow_model"}
    known |= {"custommodel": "custom_model", "tritonmodel": "triton_model"}
    return known.get(name.lower(), name.lower())
