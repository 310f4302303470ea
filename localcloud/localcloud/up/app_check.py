"""Lets the app check its own configuration before anything is started."""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

from localcloud.configuration_file import ConfigurationError
from localcloud.processes import inherited

#: Seconds.
PATIENCE = 60.0


async def check(module: str, folder: Path, settings: Mapping[str, str]) -> None:
    """Run `python -m module` in the app's folder, with its settings.

    Raises `ConfigurationError` with its output unless it exits with 0.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        cwd=folder,
        env={**inherited(), **settings},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    except TimeoutError:
        raise ConfigurationError(
            f"app.check: python -m {module} did not end within {PATIENCE:g} s. Nothing was started."
        ) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        told = said.decode(errors="replace").strip() or f"python -m {module} exited with {process.returncode}"
        raise ConfigurationError(f"The app cannot work with its configuration, so nothing was started.\n{told}")
