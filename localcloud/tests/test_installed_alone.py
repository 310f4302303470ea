"""The distribution as somebody installs it who has nothing else of this repository: a wheel and what it requires."""

import os
import re
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage
from packaging.requirements import Requirement

from localcloud.testing.broker import BrokerProcess, write_config

DISTRIBUTION = Path(__file__).parents[1]


def with_theirs(names: list[str]) -> set[str]:
    """The distributions and all that they bring along, as installed here."""
    found: set[str] = set()
    left = list(names)
    while left:
        required = Requirement(left.pop())
        if required.name not in found and (required.marker is None or required.marker.evaluate({"extra": ""})):
            found.add(required.name)
            left += distribution(required.name).requires or ()
    return found


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a virtual environment that has the wheel and what it requires, without any extra."""
    folder = tmp_path_factory.mktemp("alone")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*build, "--wheel-dir", str(folder), str(DISTRIBUTION)], check=True, cwd=folder)
    venv.create(folder / "venv", with_pip=False)
    (packages,) = (folder / "venv").glob("lib/python*/site-packages")
    (wheel,) = folder.glob("localcloud-*.whl")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(packages)
        (metadata,) = (name for name in file.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
        required = re.findall(r"^Requires-Dist: (.+)$", file.read(metadata).decode(), re.MULTILINE)
    for name in with_theirs(required):
        for installed in {path.parts[0] for path in distribution(name).files or () if path.parts[0] != ".."}:
            if not (packages / installed).exists():
                (packages / installed).symlink_to(Path(str(distribution(name).locate_file(installed))))
    return folder / "venv" / "bin" / "python"


def run(python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    nothing = {"PATH": os.environ["PATH"]}
    return subprocess.run([python, *arguments], cwd=python.parent, env=nothing, capture_output=True, text=True)


def test_its_command_line_lists_the_parts(python: Path) -> None:
    answer = run(python, "-m", "localcloud", "--help")
    assert answer.returncode == 0, answer.stderr
    assert "servicebus" in answer.stdout


@pytest.mark.parametrize("part", ["up", "servicebus", "azureml", "eventgrid", "identity", "settings", "clean"])
def test_each_part_but_the_functions_host_needs_no_extra(part: str, python: Path) -> None:
    answer = run(python, "-m", "localcloud", part, "--help")
    assert answer.returncode == 0, answer.stderr


def test_without_the_extra_the_functions_host_says_how_to_install_it(python: Path) -> None:
    answer = run(python, "-m", "localcloud", "functions", "--help")
    assert answer.returncode == 1
    assert answer.stderr.count("\n") == 1
    assert "pip install 'localcloud[functions]'" in answer.stderr


def test_its_broker_serves_the_sdk(python: Path, tmp_path: Path) -> None:
    broker = BrokerProcess(tmp_path, write_config(tmp_path / "Config.json", {"orders": {}}), python=python)
    try:
        with (
            ServiceBusClient.from_connection_string(broker.connection_string) as client,
            client.get_queue_sender("orders") as sender,
            client.get_queue_receiver("orders") as receiver,
        ):
            sender.send_messages(ServiceBusMessage("hello"))
            assert [str(message) for message in receiver.receive_messages(max_wait_time=300)] == ["hello"]
    finally:
        broker.close()
