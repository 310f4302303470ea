"""Their fixtures, without the proxy that records."""

import os
from collections.abc import Mapping

import pytest


class VariableRecorder:
    """Would keep what is random in a test for its playback."""

    def get_or_record(self, _variable: str, value: str) -> str:
        return value


class EnvironmentVariables:
    """The values of this run's environment, or those given where it has none."""

    def get(self, name: str) -> str | None:
        return os.environ.get(name)

    def sanitize_batch(self, values: Mapping[str, str]) -> dict[str, str]:
        return {name: os.environ.get(name, value) for name, value in values.items()}


@pytest.fixture
def variable_recorder() -> VariableRecorder:
    return VariableRecorder()


@pytest.fixture(scope="session")
def environment_variables() -> EnvironmentVariables:
    return EnvironmentVariables()


@pytest.fixture(scope="session")
def test_proxy() -> None:
    pass


@pytest.fixture
def recorded_test() -> None:
    pass
