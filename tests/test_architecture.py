"""The list in docs/architecture.md of where something new goes, checked against the existing code."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from shared.config.rerun import LOOKS_EVERY
from shared.core.events import LaneEvent
from shared.core.lane import _HANDLERS
from shared.core.messages import Kind
from shared.core.plan import KINDS, STEP_NAMES, UNDO_NAMES
from shared.worker.steps import steps

REPOSITORY = Path(__file__).parents[1]
PAGE = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
#: People ask for approval, too: the word is theirs as well as the step's.
OF_PEOPLE = {"approve"}
#: What a person may ask for is spelled like the step that does it.
OF_A_REQUEST = {"shared/http/requests.py"}
#: Settings and rights that are spelled like a step, and what only routing can tell a step.
ALSO_WORDS = {
    "validate": {"shared/config/stage.py", "shared/config/pipeline_stage.py"},
    "deploy": {"shared/ports/azureml.py"},
    "soak": {
        "shared/core/soaking.py",  # its rules: it has no file, since no worker runs it
        *("shared/config/pipeline_stage.py", "shared/config/agreement.py", "shared/coordinator/rerunning.py"),
    },
    "invoke": {"shared/config/batch.py"},  # the time that its settings give it
    "smoke": {
        "shared/config/batch.py",
        "shared/config/named_files.py",
        "mlpromote/checking/findings.py",
        "mlpromote/checking/named_files.py",
    },
    "evaluate": {
        *("shared/config/named_files.py", "shared/worker/analysis_job.py"),
        "mlpromote/checking/named_files.py",
    },
    # Settings, and the times that they give these steps.
    "rollout": {
        *("shared/config/rollout.py", "shared/config/named_files.py", "shared/config/batch.py"),
        "mlpromote/checking/named_files.py",
    },
    "watch": {"shared/config/rollout.py", "mlpromote/promotions.py"},
    "retire": {"shared/config/rollout.py", *OF_A_REQUEST, "functions/promotions.py", "mlpromote/promotions.py"},
    "share": {"shared/coordinator/routing.py"},  # the metrics that any route asks for
    "share_data": {
        "shared/coordinator/routing.py",
        "shared/config/agreement.py",
        "shared/config/sources.py",
        "shared/config/team.py",
    },
    "register": {
        "shared/coordinator/routing.py",
        "shared/config/pipeline_stage.py",
        "shared/config/team.py",
        "mlpromote/checking/definitions.py",
    },  # a job's stage; a setting
    "register_components": {"shared/coordinator/routing.py"},  # the metrics that any gate asks for
    "run": {
        *("shared/config/pipeline_stage.py", "mlpromote/routes.py"),  # a setting, and a command
        "mlpromote/checking/code.py",  # a scoring script's function
        *("mlpromote/checking/definitions.py", "mlpromote/checking/schedules.py"),  # a setting
        *("shared/worker/polls.py", "shared/worker/lineage.py", "shared/cloud/azureml_runs.py"),  # of MLflow
    },
    "remove": {"mlpromote/contexts.py"},  # a command
    #: What people may do, and what a repeated run of the champion's pipeline keeps.
    "inspect": {"shared/http/authorisation.py", "functions/health.py", "shared/core/rerunning.py"},
}
#: How the command line shows a step's evidence. A step that is not listed is shown without words of its own.
WORDS = {"mlpromote/wording.py", "mlpromote/promotion_sheet.py", "mlpromote/live_figures.py"}


def test_check_knows_how_often_the_app_looks_for_runs_that_are_due() -> None:
    source = (REPOSITORY / "functions" / "reconcile.py").read_text(encoding="utf-8")
    minutes = re.search(r'schedule="0 \d+/(\d+) \* \* \* \*"\)\ndef start_runs', source)
    assert minutes is not None
    assert timedelta(minutes=int(minutes[1])) == LOOKS_EVERY


def test_every_path_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`((?:shared|functions|tests|infra|mlpromote|localcloud)/[\w/.-]*)`", PAGE))
    assert len(named) > 20
    assert [path for path in sorted(named) if not (REPOSITORY / path).exists()] == []


@pytest.mark.parametrize("name", sorted({*STEP_NAMES, *UNDO_NAMES} - OF_PEOPLE))
def test_a_step_is_named_in_its_file_and_its_plan_alone(name: str) -> None:
    spoken = {
        str(file.relative_to(REPOSITORY))
        for room in ("shared", "functions", "mlpromote")
        for file in (REPOSITORY / room).rglob("*.py")
        if re.search(rf"[\"']{name}[\"']", file.read_text(encoding="utf-8"))
    }
    allowed = {f"shared/worker/steps/{name}.py", "shared/core/plan.py"} | WORDS | ALSO_WORDS.get(name, set())
    assert spoken <= allowed
    assert (REPOSITORY / "tests" / "steps").is_dir()


def test_every_step_of_every_plan_has_its_file_and_no_file_is_left_over() -> None:
    used = {step.uses for rules in KINDS.values() for step in rules.plan if step.uses}
    only_wait = {step.name for rules in KINDS.values() for step in rules.plan if step.waits and not step.asks_people}
    assert steps().keys() == {*STEP_NAMES, *UNDO_NAMES, *used} - only_wait


def test_every_kind_has_its_row() -> None:
    assert KINDS.keys() == set(Kind)


def test_every_event_has_its_handler() -> None:
    assert _HANDLERS.keys() == set(LaneEvent.__args__)


@pytest.mark.parametrize("room", ["core", "coordinator", "worker", "http", "config", "cloud", "telemetry"])
def test_every_room_is_in_the_table(room: str) -> None:
    assert f"| `shared/{room}/` |" in PAGE
