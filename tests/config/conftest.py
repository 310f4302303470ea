"""Loading a configuration from its text."""

from collections.abc import Callable
from pathlib import Path

import pytest

from shared.config import Configuration, ConfigurationFaults, load
from tests.config.right import RIGHT, SETTINGS


@pytest.fixture
def configured(tmp_path: Path) -> Callable[..., Configuration]:
    """Loads a configuration from its text."""

    def configured(text: str = RIGHT, settings: dict[str, str] = SETTINGS) -> Configuration:
        path = tmp_path / "promotion.yml"
        path.write_text(text, encoding="utf-8")
        return load(path, settings)

    return configured


@pytest.fixture
def faults_of(configured: Callable[..., Configuration]) -> Callable[..., list[str]]:
    """All faults of a configuration's text, each `place: sentence`."""

    def faults_of(text: str, settings: dict[str, str] = SETTINGS) -> list[str]:
        with pytest.raises(ConfigurationFaults) as refused:
            configured(text, settings)
        return [str(fault) for fault in refused.value.faults]

    return faults_of
