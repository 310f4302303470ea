"""Types commands of `mlpromote` as a person would, and shows what they print."""

import asyncio
import os
import shlex
import sys
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from examples.demo.checks import BrokenPromiseError

REPOSITORY = Path(__file__).resolve().parents[2]
SECONDS = 300
_INDENT = 3


class Terminal:
    """Runs the command line against the local cloud in the folder `data`."""

    def __init__(self, console: Console, data: Path) -> None:
        self._console = console
        colours = {"FORCE_COLOR": "1"} if console.is_terminal and not console.no_color else {}
        width = str(max(console.width - _INDENT, 20))
        self._environment = {**os.environ, "MLPROMOTE_LOCAL": str(data), "COLUMNS": width, **colours}

    async def type(self, *arguments: str) -> None:
        """Run `mlpromote` with these arguments. Raises BrokenPromiseError unless it exits with 0."""
        self._console.print()
        self._show(Text.assemble(("$ ", "dim"), (shlex.join(["mlpromote", *arguments]), "bold")))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mlpromote", *arguments),
            cwd=REPOSITORY,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            output, _ = await asyncio.wait_for(process.communicate(), SECONDS)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        self._show(Text.from_ansi(output.decode(errors="replace").rstrip()))
        if process.returncode:
            raise BrokenPromiseError(f"`mlpromote {arguments[0]}` exited with {process.returncode}")

    def _show(self, text: Text) -> None:
        self._console.print(Padding(text, (0, 0, 0, _INDENT)))
