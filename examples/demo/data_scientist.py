"""What a data scientist does in a workspace, with the Azure ML SDK: trains models and registers them."""

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory

from azure.ai.ml import MLClient, load_job
from azure.ai.ml.constants import AssetTypes
from azure.ai.ml.entities import Data, Model
from azure.core.exceptions import ResourceNotFoundError

from examples.demo.addresses import Addresses, ml_client

JOB = Path(__file__).parents[1] / "digits" / "train" / "job.yml"
PIPELINE = Path(__file__).parents[1] / "digits_pipeline" / "pipeline.yml"
#: Path of a command job's log among its artifacts.
LOG = "std_log.txt"
#: The statuses that a job ends with.
ENDED = frozenset({"Completed", "Failed", "Canceled"})

#: Streams belong to the whole process: of two threads that redirect them, the last one would restore the wrong one.
_REDIRECTING = threading.Lock()


@contextmanager
def _without_blank_lines() -> Iterator[None]:
    """Keep the blank lines that an upload prints to standard error off the terminal; one thread at a time."""
    with _REDIRECTING, redirect_stderr(io.StringIO()):
        yield


class DataScientist:
    """Uses the SDK; calls block until Azure ML answers."""

    def __init__(self, addresses: Addresses, environment: str = "dev") -> None:
        self._client: MLClient = ml_client(addresses, environment)

    def submit(self, training_rows: int, layout: str = "pipeline", experiment: str | None = None) -> str:
        """Submit the example's training job and return the job's name; `experiment` replaces the one in its file."""
        changes: list[dict[str, object]] = [{"inputs.training_rows": training_rows}, {"inputs.layout": layout}]
        if experiment:
            changes.append({"experiment_name": experiment})
        with _without_blank_lines():
            return str(self._client.jobs.create_or_update(load_job(JOB, params_override=changes)).name)

    def submit_pipeline(self, split: str) -> str:
        """Submit the example's training pipeline and return the job's name; `split` is one of its inputs."""
        changes: list[dict[str, object]] = [{"inputs.split": split}]
        with _without_blank_lines():
            return str(self._client.jobs.create_or_update(load_job(PIPELINE, params_override=changes)).name)

    def submit_file(self, file: Path) -> str:
        """Submit a job file as it is and return the job's name."""
        with _without_blank_lines():
            return str(self._client.jobs.create_or_update(load_job(file)).name)

    def create_data(self, name: str, folder: Path) -> None:
        """Create the first version of a data asset from the files in a folder, unless it is there."""
        if any(each.version == "1" for each in self._versions(name)):
            return
        with _without_blank_lines():
            self._client.data.create_or_update(
                Data(name=name, version="1", path=str(folder), type=AssetTypes.URI_FOLDER)
            )

    def _versions(self, name: str) -> list[Data]:
        try:
            return list(self._client.data.list(name))
        except ResourceNotFoundError:
            return []

    def status(self, job: str) -> str:
        """Azure ML's status of a job."""
        status = self._client.jobs.get(job).status
        return str(status.value if isinstance(status, Enum) else status)

    def log(self, job: str) -> str:
        """The log of a job that has ended; empty if there is none."""
        with TemporaryDirectory() as folder, _without_blank_lines(), redirect_stdout(io.StringIO()):
            self._client.jobs.download(job, download_path=folder)
            logs = list(Path(folder).rglob(LOG))
            return logs[0].read_text(encoding="utf-8", errors="replace") if logs else ""

    def register(self, name: str, version: str, job: str) -> None:
        """Register a job's output as a model version that is tagged for promotion."""
        path = f"azureml://jobs/{job}/outputs/model"
        self._client.models.create_or_update(
            Model(name=name, version=version, path=path, type=AssetTypes.CUSTOM_MODEL, tags={"promote": "true"})
        )

    def origin(self, name: str, version: str) -> str | None:
        """The name of the job that a model version came from."""
        job = self._client.models.get(name, version).job_name
        return str(job) if job else None
