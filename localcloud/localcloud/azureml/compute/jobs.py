"""Command jobs as real processes: the command, its folder and its environment as Azure ML gives them to a job."""

import asyncio
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from localcloud import processes
from localcloud.azureml.compute.job_command import substitute

#: The output that every job has, whether it declares it or not: what it leaves in `./outputs`, what it logs as an
#: MLflow artifact, and its log.
DEFAULT_OUTPUT = "default"
LOG = Path("user_logs") / "std_log.txt"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}")
STOP_SECONDS = 5.0
#: Has MLflow's plug-in for the addresses of artifacts.
MLFLOW_PLUGIN = Path(__file__).with_name("mlflow_plugin")


@dataclass(frozen=True)
class JobRun:
    """All that one run of a command job needs."""

    #: The job's name, which is also the MLflow run's id. Letters, digits, `-` and `_`.
    name: str
    command: str
    #: The folder that the job works in a copy of; None for an empty one.
    code: Path | None
    #: Values, or paths of files and folders. An optional input without a value is left out.
    inputs: Mapping[str, str | Path]
    #: Where each output goes. `default`, when it is here, gets `outputs/...` and `user_logs/std_log.txt`, as in Azure.
    outputs: Mapping[str, Path]
    environment_variables: Mapping[str, str]
    #: Address of the MLflow tracking API, without `/api/2.0/mlflow`.
    tracking_uri: str
    #: Bearer token for it.
    token: str
    experiment: str
    #: Certificate authority that the tracking API's certificate comes from.
    certificate_authority: Path | None = None
    #: The outputs that are one file (`uri_file`); the others are folders, which are there when the job starts.
    file_outputs: frozenset[str] = frozenset()
    #: The job is cancelled after this time; None: never.
    limit_seconds: float | None = None
    #: The submitted job, if this one is a part of it.
    root: str | None = None


@dataclass(frozen=True)
class JobEnd:
    """How a job ended."""

    #: Negative when a signal ended it.
    exit_code: int
    #: `user_logs/std_log.txt`: what it wrote.
    log: Path
    cancelled: bool
    #: It was cancelled because it ran for longer than it may.
    timed_out: bool = False


class JobRunner:
    """Runs jobs, each in its own folder. `python` is the interpreter of their virtual environment."""

    def __init__(self, folder: Path, python: Path) -> None:
        self._folder = folder
        self._python = python
        self._cancellations: dict[str, asyncio.Event] = {}

    def log(self, name: str) -> Path:
        """The file that the job of this name writes to, now or in an earlier run. Raises a ValueError for an invalid
        name."""
        if not NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a valid job name: use letters, digits, - and _, at most 255 characters")
        return self._folder / name / LOG

    async def run(self, job: JobRun) -> JobEnd:
        """Runs a job to its end; an earlier job of that name starts again.

        ValueError when its command names an input or output that it does not have, or the job is already running. When
        this call is cancelled, the job's processes are ended.
        """
        log = self.log(job.name)
        command = substitute(job.command, job.inputs, job.outputs)
        if job.name in self._cancellations:
            raise ValueError(f"the job {job.name} is already running")
        cancellation = self._cancellations[job.name] = asyncio.Event()
        try:
            await asyncio.to_thread(_lay_out, job, self._folder / job.name)
            exit_code, timed_out = await self._execute(job, command, cancellation)
            await asyncio.to_thread(_keep_default_output, job, self._folder / job.name)
            return JobEnd(exit_code, log, cancellation.is_set() or timed_out, timed_out)
        finally:
            del self._cancellations[job.name]

    async def cancel(self, name: str) -> bool:
        """Ends a job's processes; `run` then returns. False when no job of that name is running."""
        cancellation = self._cancellations.get(name)
        if cancellation is not None:
            cancellation.set()
        return cancellation is not None

    async def _execute(self, job: JobRun, command: str, cancellation: asyncio.Event) -> tuple[int, bool]:
        """The exit code, and whether the job ran out of time."""
        folder = self._folder / job.name
        process = await processes.start(
            ["bash", "-c", command],
            log=folder / LOG,
            environment=_environment(job, folder, self._python),
            folder=folder / "wd",
        )
        events = {asyncio.create_task(process.wait()), asyncio.create_task(cancellation.wait())}
        try:
            ended, _ = await asyncio.wait(events, timeout=job.limit_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for event in events:
                event.cancel()
            exit_code = await process.stop(STOP_SECONDS)
        return exit_code, not ended


def _lay_out(job: JobRun, folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    if job.code is None:
        (folder / "wd").mkdir(parents=True)
    else:
        shutil.copytree(job.code, folder / "wd")
    (folder / "home").mkdir()
    (folder / "wd" / "outputs").mkdir(exist_ok=True)
    for name, output in job.outputs.items():
        (output.parent if name in job.file_outputs else output).mkdir(parents=True, exist_ok=True)


def _keep_default_output(job: JobRun, folder: Path) -> None:
    kept = job.outputs.get(DEFAULT_OUTPUT)
    if kept is None:
        return
    # A job may remove the folder.
    if (folder / "wd" / "outputs").is_dir():
        shutil.copytree(folder / "wd" / "outputs", kept / "outputs", dirs_exist_ok=True)
    (kept / LOG).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(folder / LOG, kept / LOG)


def _environment(job: JobRun, folder: Path, python: Path) -> dict[str, str]:
    environment = {
        "PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "VIRTUAL_ENV": str(python.parents[1]),
        "HOME": str(folder / "home"),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": str(MLFLOW_PLUGIN),
        "AZUREML_RUN_ID": job.name,
        "AZUREML_ROOT_RUN_ID": job.root or job.name,
        "AZUREML_ARM_PROJECT_NAME": job.experiment,
        "AZUREML_EXPERIMENT_NAME": job.experiment,
        "AZUREML_RUN_TOKEN": job.token,
        "MLFLOW_TRACKING_URI": job.tracking_uri,
        "MLFLOW_TRACKING_TOKEN": job.token,
        "MLFLOW_RUN_ID": job.name,
        "MLFLOW_EXPERIMENT_NAME": job.experiment,
        # Otherwise MLflow reports its use over the internet.
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    if job.certificate_authority is not None:
        environment["MLFLOW_TRACKING_SERVER_CERT_PATH"] = str(job.certificate_authority)
    environment |= {f"AZURE_ML_INPUT_{name}": str(value) for name, value in job.inputs.items()}
    environment |= {f"AZURE_ML_OUTPUT_{name}": str(path) for name, path in job.outputs.items()}
    given = dict(job.environment_variables)
    if path := given.get("PYTHONPATH"):
        given["PYTHONPATH"] = f"{path}{os.pathsep}{MLFLOW_PLUGIN}"
    return environment | given
