"""The scoring servers of all deployments, by the control plane's key for each."""

import asyncio
import hashlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from localcloud.azureml.compute.container import Container, ContainerCrashed, Image, logs_in

__all__ = ["ContainerCrashed", "InferenceServers"]

#: Pauses before a crashed server is started again, in seconds; after the last one it stays down.
RESTART_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
NO_CODE = Path(__file__).with_name("no_code")


class InferenceServers:
    """Runs one real `azmlinfsrv` per key. `python` is the interpreter of the virtual environment that has it."""

    def __init__(
        self,
        folder: Path,
        python: Path,
        *,
        start_seconds: float = 60.0,
        restart_pauses: Sequence[float] = RESTART_PAUSES,
    ) -> None:
        self._folder = folder
        self._python = python
        self._start_seconds = start_seconds
        self._restart_pauses = restart_pauses
        #: The one that serves.
        self._serving: dict[str, Container] = {}
        #: The one that was started last: it serves, is about to, or failed.
        self._latest: dict[str, Container] = {}

    async def start(
        self,
        key: str,
        *,
        code: Path | None,
        scoring_script: str | None,
        model: Path | None,
        model_type: str,
        environment_variables: Mapping[str, str],
    ) -> None:
        """Starts a server and returns when it is healthy; one that already serves under this key is replaced then.

        `model` (file or folder) appears in AZUREML_MODEL_DIR under its own name. ContainerCrashed when the server ends
        or is not healthy in time; ValueError when there is nothing to score with; OSError when files cannot be read.
        """
        image = Image(self._python, *_scoring(code, scoring_script, model_type), model, environment_variables)
        container = Container(
            self._new_folder(key),
            image,
            start_seconds=self._start_seconds,
            restart_pauses=self._restart_pauses,
        )
        self._latest[key] = container
        await container.start()
        replaced = self._serving.get(key)
        self._serving[key] = container
        if replaced is not None:
            await replaced.stop()
        for folder in self._folders(key):
            if folder != container.folder:
                await asyncio.to_thread(shutil.rmtree, folder)

    def address(self, key: str) -> str:
        """The URL of the running server. ContainerCrashed while it is down, KeyError if there is none."""
        return self._serving[key].address()

    def process_group(self, key: str) -> int | None:
        """That of the running server; None while it is down, or if there is none."""
        return self._serving[key].process_group if key in self._serving else None

    def logs(self, key: str, lines: int) -> str:
        """The last log lines of the most recent server, even from an earlier run; empty if there is none."""
        if key in self._latest:
            return self._latest[key].logs(lines)
        folders = self._folders(key)
        return logs_in(folders[-1], lines) if folders else ""

    async def stop(self, key: str) -> None:
        """Ends the key's servers, including one that is being started, and removes their files."""
        await self._end(key)
        await asyncio.to_thread(shutil.rmtree, self._folder / _folder_name(key), ignore_errors=True)

    async def crash(self, key: str) -> None:
        """Ends the server that serves as `kill -9` does; it is started again after a pause."""
        await self._serving[key].crash()

    async def close(self) -> None:
        """Ends all servers; their logs stay."""
        for key in list(self._latest):
            await self._end(key)

    async def _end(self, key: str) -> None:
        for container in {self._serving.pop(key, None), self._latest.pop(key, None)} - {None}:
            assert container is not None
            await container.stop()

    def _folders(self, key: str) -> list[Path]:
        return sorted((self._folder / _folder_name(key)).glob("*"), key=lambda folder: int(folder.name))

    def _new_folder(self, key: str) -> Path:
        folders = self._folders(key)
        folder = self._folder / _folder_name(key) / str(int(folders[-1].name) + 1 if folders else 1)
        folder.mkdir(parents=True)
        return folder


def _folder_name(key: str) -> str:
    """A key may hold anything and be long; a folder's name may not."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def _scoring(code: Path | None, scoring_script: str | None, model_type: str) -> tuple[Path, str]:
    if code is not None and scoring_script is not None:
        return code, scoring_script
    if model_type == "mlflow_model":
        return NO_CODE, "score_mlflow_model.py"
    raise ValueError(f"a model of type {model_type} needs code and a scoring script; only an mlflow_model does without")
