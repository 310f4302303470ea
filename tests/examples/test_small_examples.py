"""The examples that show one thing each."""

import pytest

from shared.config import Configuration, load, named_files
from shared.coordinator import routing
from shared.http.checks import carried_out
from shared.http.region_checks import region_checks
from shared.ports import Workspace
from tests.config.right import CLIENT_ID, WORKSPACE
from tests.fakes.workspace import FakeWorkspace
from tests.infra.shapes import REPOSITORY

EXAMPLES = REPOSITORY / "examples"
NAMES = ("dev", "test", "prod", "prod-west", "prod-north")
SETTINGS = {f"{name.upper().replace('-', '_')}_WORKSPACE": WORKSPACE.format(name) for name in NAMES} | {
    f"{name.upper().replace('-', '_')}_IDENTITY": CLIENT_ID for name in NAMES
}


def loaded(name: str) -> Configuration:
    return load(EXAMPLES / name / "promotion.yml", SETTINGS)


@pytest.mark.parametrize("name", ["two-regions", "one-workspace", "same-name"])
def test_an_example_and_the_files_that_it_names_are_right(name: str) -> None:
    assert named_files.faults(loaded(name), EXAMPLES / name) == []


def test_in_one_workspace_nothing_is_copied_and_prod_asks_for_approval() -> None:
    configuration = loaded("one-workspace")
    [route] = configuration.model_routes
    test, prod = routing.stage_runs(route.stages, route, "digits", configuration)
    for stage in (test, prod):
        assert stage.settings["asset"] == "workspace"
    assert test.endpoint != prod.endpoint
    assert "approve" in [step.plan.name for step in prod.steps]


@pytest.mark.parametrize(("region", "ok"), [("westeurope", False), ("northeurope", True)])
def test_the_same_name_in_one_region_is_what_the_doctor_finds(region: str, ok: bool) -> None:
    workspaces: dict[str, Workspace] = {
        "test": FakeWorkspace(name="test"),
        "prod": FakeWorkspace(name="prod", located=region),
    }
    checks = list(region_checks(loaded("same-name"), ("test", "prod"), workspaces.__getitem__))
    assert [finding.ok for finding in carried_out(checks, 10)] == [ok]
