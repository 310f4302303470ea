"""The environments' names are read while functions are indexed, so what that imports counts."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.config import ConfigurationFaults, environment_names
from tests.config.right import RIGHT, changed

LOADED = """
import json, pathlib, sys
import shared.config
names = shared.config.environment_names(pathlib.Path(sys.argv[1]))
print(json.dumps([names, sorted(sys.modules)]))
"""


def test_the_names_are_read_without_pydantic_or_an_sdk(tmp_path: Path) -> None:
    (tmp_path / "promotion.yml").write_text(RIGHT, encoding="utf-8")
    command = [sys.executable, "-c", LOADED, str(tmp_path / "promotion.yml")]
    answer = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    names, modules = json.loads(answer.stdout)
    assert names == ["dev", "test", "prod"]
    assert [module for module in modules if module.startswith(("pydantic", "azure", "asyncio"))] == []


@pytest.fixture
def names(tmp_path: Path) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        (tmp_path / "promotion.yml").write_text(text, encoding="utf-8")
        return environment_names(tmp_path / "promotion.yml")

    return names


def test_faults_elsewhere_do_not_hide_the_names(names: Callable[[str], list[str]]) -> None:
    assert names(changed(("registry: contoso-ml", "regstry: 7"), ("0.82", "high"))) == ["dev", "test", "prod"]


@pytest.mark.parametrize(
    "text", ["", "a: b", "environments:", "environments: {}", "environments: [dev]", "- environments"]
)
def test_a_file_without_environments_is_refused(text: str, names: Callable[[str], list[str]]) -> None:
    with pytest.raises(ConfigurationFaults, match="environments: must be a mapping of names to environments"):
        names(text)


def test_every_name_that_cannot_be_a_queue_is_told(names: Callable[[str], list[str]]) -> None:
    with pytest.raises(ConfigurationFaults) as refused:
        names(changed(("dev: {", "Dev: {"), ("prod: {", "prod_1: {")))
    assert [fault.place for fault in refused.value.faults] == ["environments.Dev", "environments.prod_1"]


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationFaults, match="cannot be read"):
        environment_names(tmp_path / "promotion.yml")
