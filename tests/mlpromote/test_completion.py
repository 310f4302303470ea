"""The completion in real shells: somebody presses Tab. A shell that is not installed is skipped."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import tree_sitter_powershell
from tree_sitter import Language, Parser

from tests.mlpromote.conftest import CommandLine

#: Seconds. A shell starts at once; each Tab starts the command.
LONGEST = 300.0
READY = "ready>"
_ESCAPES = re.compile(rb"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[=>])|[\r\x07]")


def variables(home: Path) -> dict[str, str]:
    """Of a person without any configuration, who has the command."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(home), "TERM": "dumb", "LANG": "C.UTF-8", "PS1": READY}


class Terminal:
    """A shell in a terminal."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._seen = b""

    def types(self, text: str) -> None:
        self._seen = b""
        os.write(self._descriptor, text.encode())

    def shows(self, text: str) -> None:
        """Wait until it does, without escape sequences. Fails if it does not in time."""
        deadline = time.monotonic() + LONGEST
        while text.encode() not in _ESCAPES.sub(b"", self._seen):
            ready, _, _ = select.select([self._descriptor], [], [], max(deadline - time.monotonic(), 0))
            assert ready, f"not shown: {text!r}, but {self._seen!r}"
            self._seen += os.read(self._descriptor, 4096)


@contextmanager
def terminal(words: list[str], home: Path) -> Iterator[Terminal]:
    """Start a shell; it is gone at the end."""
    child, descriptor = pty.fork()
    if child == 0:  # the child: nothing but the shell
        os.execvpe(words[0], words, variables(home))
    try:
        yield Terminal(descriptor)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(descriptor)


def needs(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")


@pytest.mark.parametrize(
    ("words", "first"),
    [
        (["bash", "--norc", "--noprofile", "-i"], 'eval "$(mlpromote completion bash)"'),
        (["zsh", "-f", "-i"], 'autoload -Uz compinit && compinit -u -D && eval "$(mlpromote completion zsh)"'),
    ],
    ids=["bash", "zsh"],
)
def test_tab_completes_a_command_an_option_and_a_value(words: list[str], first: str, tmp_path: Path) -> None:
    needs(words[0])
    with terminal(words, tmp_path) as shell:
        shell.shows(READY)
        shell.types(f"{first} && printf '%s\\n' loa''ded\n")
        shell.shows("loaded")
        shell.shows(READY)
        shell.types("mlpromote lineag\t")
        shell.shows("mlpromote lineage ")
        shell.types("\x15mlpromote list --sta\t")
        shell.shows("mlpromote list --status")
        shell.types("\x15mlpromote list --status roll\t")
        shell.shows("--status roll")
        shell.shows("ed-back")


def test_fish_completes_commands_options_and_values(tmp_path: Path) -> None:
    needs("fish")
    lines = ["mlpromote lineag", "mlpromote list --sta", "mlpromote list --status roll"]
    script = "mlpromote completion fish | source\n" + "".join(f"complete --do-complete '{line}'\n" for line in lines)
    ended = subprocess.run(
        ["fish", "--no-config", "--command", script],
        env=variables(tmp_path),
        capture_output=True,
        text=True,
        check=True,
        timeout=LONGEST,
    )
    assert [line.partition("\t")[0] for line in ended.stdout.splitlines()] == [
        *("lineage", "--status", "rolled-back"),
    ], ended.stdout + ended.stderr


def test_the_script_for_powershell_is_powershell(mlpromote: CommandLine) -> None:
    """No PowerShell can be installed here; its grammar can."""
    parser = Parser(Language(tree_sitter_powershell.language()))
    script = mlpromote("completion", "powershell").output
    assert not parser.parse(script.encode()).root_node.has_error
    assert parser.parse(script.replace("try {", "try (", 1).encode()).root_node.has_error


@pytest.mark.parametrize(
    ("words", "position", "first"),
    [("mlpromote lineag", 1, "lineage"), ("mlpromote list --sta", 2, "--status"), ("mlpromote context ", 2, "add")],
)
def test_powershell_gets_three_lines_for_each_offer(
    words: str, position: int, first: str, mlpromote: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The script reads a kind, a value and a description for each, and none of them may be empty."""
    monkeypatch.setenv("_MLPROMOTE_COMPLETE", "powershell_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(position))
    lines = mlpromote().output.splitlines()
    assert lines[:2] == ["plain", first]
    assert len(lines) % 3 == 0
    assert all(lines)
