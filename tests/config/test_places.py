"""A worker reads its own environment out of the configuration, and nothing else."""

from pathlib import Path

import pytest

from shared.config import ConfigurationFaults, load, load_places
from tests.config.right import CLIENT_ID, RIGHT, SETTINGS, changed


def written(folder: Path, text: str) -> Path:
    file = folder / "promotion.yml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_worker_needs_no_setting_of_other_environments(tmp_path: Path) -> None:
    file = written(tmp_path, RIGHT)
    places = load_places(file, {"TEST": SETTINGS["TEST"]}, ["test"])
    whole = load(file, SETTINGS)
    assert places.registry == whole.registry
    assert places.environments == {"test": whole.environments["test"]}
    assert places.environments["test"].name == "test"


def test_its_own_missing_setting_is_reported_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationFaults) as refused:
        load_places(written(tmp_path, RIGHT), {"TEST": SETTINGS["TEST"]}, ["prod"])
    assert [(fault.place, "PROD" in fault.sentence) for fault in refused.value.faults] == [
        ("environments.prod.workspace", True)
    ]


def test_what_is_wrong_in_its_part_is_reported_with_its_place(tmp_path: Path) -> None:
    text = changed(("registry: contoso-ml\n", ""), (CLIENT_ID, "7"))
    with pytest.raises(ConfigurationFaults) as refused:
        load_places(written(tmp_path, text), SETTINGS, ["test"])
    assert [fault.place for fault in refused.value.faults] == ["registry", "environments.test.identity"]
