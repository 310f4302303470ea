"""The command line tells what there is, loads only what is asked for and says clearly what is wrong."""

import asyncio
import sys
from pathlib import Path

import pytest

from localcloud.__main__ import PARTS

LOADED = """
import sys
from localcloud.__main__ import main
try:
    main(sys.argv[1:])
except SystemExit:
    print(sorted(name for name in sys.modules if name.startswith("localcloud.")))
"""


async def run(*arguments: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


async def test_help_names_every_part_and_loads_none() -> None:
    _, output, _ = await run("-c", LOADED, "--help")
    assert set(PARTS) <= set(output.split())
    assert output.splitlines()[-1] == "['localcloud.__main__']"


async def test_help_of_a_part_loads_that_part_only() -> None:
    _, output, _ = await run("-c", LOADED, "identity", "--help")
    assert "--port" in output
    loaded = output.splitlines()[-1]
    assert "localcloud.identity" in loaded
    assert "localcloud.eventgrid" not in loaded


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("no-such-part",),
        ("identity",),
        ("up", "--servicebus-port", "65536"),
        ("eventgrid", "--port", "-1", "--data", "data", "--config", "file"),
    ],
)
async def test_a_wrong_call_is_refused_with_the_usage(arguments: tuple[str, ...]) -> None:
    code, _, errors = await run("-m", "localcloud", *arguments)
    assert code == 2
    assert errors.startswith("usage: python -m localcloud")


@pytest.mark.parametrize(("part", "more"), [(("token", "alice"), ""), (("settings",), " --without-app")])
async def test_without_a_cloud_in_a_folder_the_command_that_starts_one_there_is_told(
    tmp_path: Path, part: tuple[str, ...], more: str
) -> None:
    code, _, errors = await run("-m", "localcloud", *part, "--data", str(tmp_path))
    assert code == 1
    assert f"start `python -m localcloud up{more} --data {tmp_path}` first." in errors


async def test_a_missing_description_is_told_without_a_traceback(tmp_path: Path) -> None:
    code, _, errors = await run("-m", "localcloud", "up", "--config", str(tmp_path / "localcloud.yml"))
    assert code == 1
    assert errors == f"{tmp_path / 'localcloud.yml'}: cannot be read: No such file or directory\n"
