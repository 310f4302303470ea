"""Which parts of the app run, by its settings."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from shared.config.app_settings import AppSettings
from shared.config.roles import Roles, roles_here
from tests.config.right import RIGHT, changed

KNOWN = ["dev", "test", "prod"]
REPOSITORY = Path(__file__).parents[2]
INDEXED = """
import json
import function_app
triggers = {f.get_function_name(): f.get_trigger() for f in function_app.app.get_functions()}
print(json.dumps({name: getattr(trigger, "queue_name", None) for name, trigger in triggers.items()}))
"""


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        ({}, Roles(True, ("dev", "test", "prod"))),
        ({"ENVIRONMENTS": "", "MLPROMOTE_ROLES": ""}, Roles(True, ("dev", "test", "prod"))),
        ({"ENVIRONMENTS": "prod"}, Roles(False, ("prod",))),
        ({"ENVIRONMENTS": " prod , dev "}, Roles(False, ("dev", "prod"))),
        ({"MLPROMOTE_ROLES": "coordinator"}, Roles(True, ())),
        ({"MLPROMOTE_ROLES": "workers"}, Roles(False, ("dev", "test", "prod"))),
        ({"MLPROMOTE_ROLES": "coordinator,workers", "ENVIRONMENTS": "dev"}, Roles(True, ("dev",))),
    ],
)
def test_the_settings_choose_the_parts(settings: dict[str, str], parts: Roles) -> None:
    assert roles_here(AppSettings.read(settings), KNOWN) == parts


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"ENVIRONMENTS": "prod,prd"}, "ENVIRONMENTS: unknown 'prd'. Known: dev, test, prod."),
        ({"MLPROMOTE_ROLES": "worker"}, "MLPROMOTE_ROLES: unknown 'worker'. Known: coordinator, workers."),
        ({"MLPROMOTE_ROLES": "coordinator", "ENVIRONMENTS": "prod"}, "remove one"),
    ],
)
def test_invalid_settings_are_refused(settings: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        roles_here(AppSettings.read(settings), KNOWN)


def indexed(folder: Path, text: str = RIGHT, **settings: str) -> subprocess.CompletedProcess[str]:
    """Index the app in a process of its own, because a process can do it only once."""
    (folder / "promotion.yml").write_text(text, encoding="utf-8")
    environment = {"MLPROMOTE_CONFIGURATION": str(folder / "promotion.yml"), **settings}
    command = [sys.executable, "-c", INDEXED]
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)


def test_an_app_for_prod_has_only_the_worker_of_prod_and_tells_of_its_health(tmp_path: Path) -> None:
    functions = json.loads(indexed(tmp_path, ENVIRONMENTS="prod").stdout)
    assert functions == {"work_prod": "steps-prod", "show_health": None}


TAKING = changed(("  prod: {", "  prod: {policy: {approvals: {taken_by: environment}}, "))
ASKED = {"list_approvals", "show_approval", "approve_here", "reject_here", "describe_approvals_api"}


def test_an_app_for_an_environment_that_takes_its_approvals_itself_asks_people(tmp_path: Path) -> None:
    functions = json.loads(indexed(tmp_path, TAKING, ENVIRONMENTS="prod").stdout)
    assert set(functions) == {"work_prod", "show_health", *ASKED}


def test_a_coordinator_asks_nobody_for_an_environment_that_does_so_itself(tmp_path: Path) -> None:
    assert not ASKED & set(json.loads(indexed(tmp_path, TAKING, MLPROMOTE_ROLES="coordinator").stdout))


def test_a_coordinator_has_no_worker_and_listens_to_what_all_of_them_report(tmp_path: Path) -> None:
    found = json.loads(indexed(tmp_path, MLPROMOTE_ROLES="coordinator").stdout)
    reports = {f"advance_{name}": f"reports-{name}" for name in KNOWN}
    assert {name: queue for name, queue in found.items() if queue} == {"advance": "promotion-events", **reports}
    assert {"take_events", "reconcile", "catch_up", "list_promotions"} <= set(found)


def test_an_unknown_environment_ends_indexing_with_a_sentence(tmp_path: Path) -> None:
    ended = indexed(tmp_path, ENVIRONMENTS="prd")
    assert ended.returncode != 0
    assert "ENVIRONMENTS: unknown 'prd'. Known: dev, test, prod." in ended.stderr
