"""One deployment's container: a folder laid out as in Azure and a real `azmlinfsrv` process that serves from it."""

import asyncio
import contextlib
import hashlib
import logging
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from localcloud import processes

SCORING_SERVER = Path(__file__).with_name("scoring_server.py")
STOP_SECONDS = 5.0
#: After this long without a crash, counting of restarts begins again.
STABLE_SECONDS = 60.0
LINES_IN_ERROR = 100
LOG = "container.log"

logger = logging.getLogger(__name__)


class ContainerCrashed(Exception):  # noqa: N818 - it says what happened, as events do
    """The container ended, or did not become healthy in time."""

    def __init__(self, reason: str, exit_code: int | None, logs: str) -> None:
        super().__init__(reason)
        #: Negative when a signal ended it; None when it was never started.
        self.exit_code = exit_code
        #: The last lines of what the container wrote.
        self.logs = logs


@dataclass(frozen=True)
class Image:
    """The inputs of a container."""

    #: The interpreter of the virtual environment that has `azmlinfsrv`.
    python: Path
    code: Path
    #: Path of the scoring script within the code.
    scoring_script: str
    #: File or folder that appears in AZUREML_MODEL_DIR under its own name.
    model: Path | None
    environment_variables: Mapping[str, str] = field(default_factory=dict)

    def lay_out(self, app: Path) -> dict[str, str]:
        """Copies code and model to where Azure has them and returns the environment to run in.

        Azure's folders are `/var/azureml-app` and, in it, `azureml-models/<id>/<version>`.
        """
        shutil.copytree(self.code, app)
        home = app.with_name("home")
        home.mkdir()
        environment = {
            "PATH": f"{self.python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "AML_APP_ROOT": str(app),
            # Turns off gunicorn's control socket, which Azure's images do not have.
            "GUNICORN_CMD_ARGS": "--no-control-socket",
        }
        if self.model is not None:
            models = app / "azureml-models" / hashlib.sha256(str(self.model).encode()).hexdigest()[:32] / "1"
            models.mkdir(parents=True)
            copy = shutil.copytree if self.model.is_dir() else shutil.copy
            copy(self.model, models / self.model.name)
            environment["AZUREML_MODEL_DIR"] = str(models)
        return {**environment, **self.environment_variables}


def logs_in(folder: Path, lines: int) -> str:
    """The last lines of the container that has or had this folder."""
    return processes.tail(folder / LOG, lines)


class Container:
    """Starts a server in its own folder and restarts it, with growing pauses, when it crashes."""

    def __init__(self, folder: Path, image: Image, *, start_seconds: float, restart_pauses: Sequence[float]) -> None:
        self.folder = folder
        self._image = image
        self._start_seconds = start_seconds
        self._restart_pauses = restart_pauses
        self._log = folder / LOG
        self._environment: dict[str, str] = {}
        self._process: processes.Process | None = None
        self._port: int | None = None
        self._supervision: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        #: Held while a server is being started.
        self._starting = asyncio.Lock()

    async def start(self) -> None:
        """Returns when the server is healthy, else raises ContainerCrashed."""
        async with self._starting:
            self._environment = await asyncio.to_thread(self._image.lay_out, self.folder / "app")
            await self._run()
        self._supervision = asyncio.create_task(self._restart_after_crashes())

    async def stop(self) -> None:
        """Ends the server for good; a start that is under way ends with ContainerCrashed."""
        self._stopping.set()
        async with self._starting:
            if self._supervision is not None:
                self._supervision.cancel()
                await asyncio.wait([self._supervision])
            if self._process is not None:
                await self._process.stop(STOP_SECONDS)
            self._port = None

    async def crash(self) -> None:
        """Ends the server as `kill -9` does and returns when it has ended."""
        if self._process is not None:
            self._process.kill()
            await self._process.wait()

    def address(self) -> str:
        """The server's URL; ContainerCrashed while it is down."""
        if self._port is None or self._process is None or self._process.returncode is not None:
            raise self._crashed("the container is not running")
        return f"http://127.0.0.1:{self._port}"

    @property
    def process_group(self) -> int | None:
        """That of the server's processes; None while it is down."""
        return None if self._process is None or self._process.returncode is not None else self._process.pid

    def logs(self, lines: int) -> str:
        """The last lines of what the server wrote, over all its restarts."""
        return logs_in(self.folder, lines)

    async def _run(self) -> None:
        port_file = self.folder / "port"
        port_file.unlink(missing_ok=True)
        azmlinfsrv = self._image.python.with_name("azmlinfsrv")
        self._process = await processes.start(
            [
                *(sys.executable, "-I", "-S", str(SCORING_SERVER), str(port_file)),
                *(str(self._image.python), str(azmlinfsrv), "--entry_script", self._image.scoring_script),
            ],
            log=self._log,
            environment=self._environment,
            folder=self.folder / "app",
        )
        health = asyncio.create_task(self._become_healthy(port_file))
        events = {health, asyncio.create_task(self._process.wait()), asyncio.create_task(self._stopping.wait())}
        try:
            await asyncio.wait(events, timeout=self._start_seconds, return_when=asyncio.FIRST_COMPLETED)
            if not health.done():
                reason = self._why_not_healthy()
                await self._process.stop(0.0)
                raise self._crashed(reason)
            self._port = health.result()
        except BaseException:
            await self._process.stop(0.0)
            raise
        finally:
            for event in events:
                event.cancel()

    def _why_not_healthy(self) -> str:
        if self._stopping.is_set():
            return "the container was stopped before it was healthy"
        if self._process is not None and self._process.returncode is not None:
            return f"the container ended with {self._process.returncode} before it was healthy"
        return f"the container was not healthy within {self._start_seconds:g} seconds"

    async def _become_healthy(self, port_file: Path) -> int:
        while (port := _port_in(port_file)) is None:  # noqa: ASYNC110 - another process writes the file
            await asyncio.sleep(0.01)
        async with aiohttp.ClientSession() as session:
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"http://127.0.0.1:{port}/") as answer:
                        if answer.status == 200:
                            return port
                await asyncio.sleep(0.05)

    async def _restart_after_crashes(self) -> None:
        clock = asyncio.get_running_loop().time
        crashes = 0
        while True:
            assert self._process is not None
            began = clock()
            code = await self._process.wait()
            self._port = None
            crashes = 1 if clock() - began > STABLE_SECONDS else crashes + 1
            if crashes > len(self._restart_pauses):
                self._note(f"the container ended with {code} too many times and is not restarted")
                return
            pause = self._restart_pauses[crashes - 1]
            self._note(f"the container ended with {code} and will be restarted in {pause:g} seconds")
            await asyncio.sleep(pause)
            try:
                await self._run()
            except (ContainerCrashed, OSError) as problem:
                self._note(str(problem))

    def _note(self, text: str) -> None:
        logger.warning("%s (%s)", text, self._log)
        with self._log.open("a", encoding="utf-8") as log:
            log.write(f"{text}\n")

    def _crashed(self, reason: str) -> ContainerCrashed:
        exit_code = None if self._process is None else self._process.returncode
        return ContainerCrashed(reason, exit_code, self.logs(LINES_IN_ERROR))


def _port_in(file: Path) -> int | None:
    return int(file.read_text()) if file.exists() else None
