"""Azure has the name of an endpoint once in a region: the doctor knows the regions."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from shared.config.roles import Roles
from shared.http.health import Health
from tests.config.right import changed
from tests.fakes.workspace import FakeWorkspace
from tests.shared.health.conftest import NAMES, faults, line

WHICH = "churn.test and churn.prod"


@pytest.fixture
def located(health: Health, folder: Path) -> Callable[..., Health]:
    """The app, where test and prod use one endpoint name, and their workspaces are in these regions."""
    (folder / "promotion.yml").write_text(changed(("{model}-test", "{model}")), encoding="utf-8")

    def located(**regions: str) -> Health:
        found = {name: FakeWorkspace(name=name, located=regions.get(name, "westeurope")) for name in NAMES}
        return replace(health, workspace=found.__getitem__)

    return located


def test_one_name_in_two_workspaces_of_a_region_is_a_fault(located: Callable[..., Health]) -> None:
    says = "both may use the endpoint name {model}, and their workspaces are both in westeurope, where Azure has each "
    assert faults(located()) == [("endpoint names", WHICH, f"{says}name once")]


def test_one_name_in_two_regions_is_fine(located: Callable[..., Health]) -> None:
    says = "both may use the endpoint name {model}, in westeurope and in northeurope"
    assert line(located(prod="northeurope"), "endpoint names", WHICH)["says"] == says


def test_an_app_that_cannot_see_both_workspaces_says_so(located: Callable[..., Health]) -> None:
    coordinator = replace(located(), roles=Roles(True, ()))
    found = line(coordinator, "endpoint names", WHICH)
    assert (found["state"], "cannot see whether" in found["says"]) == ("unchecked", True)


def test_without_such_names_there_is_nothing_to_check(health: Health) -> None:
    assert not [each for each in health.report(None)["checks"] if each["what"] == "endpoint names"]
