"""What the invariants know of the team's routes is what its file says."""

from typing import Any

import yaml

from shared.config import durations
from shared.config.bundle import CONFIGURATION
from tests.chaos import rerun_invariants, wait_invariants
from tests.chaos.__main__ import models_for
from tests.chaos.holding import STAGES
from tests.chaos.publishing import FOLDER, SCHEDULE, SOURCE, files_of


def routes() -> Any:
    return yaml.safe_load((FOLDER / CONFIGURATION).read_text())["routes"]


def test_the_times_of_waits_and_of_runs_are_those_of_the_file() -> None:
    found = routes()
    run, soaked = found["again"]["stages"][0]["run"], found["careful"]["stages"][1]
    assert durations.parse(run["every"]) == rerun_invariants.EVERY
    assert durations.parse(run["on_drift"]["cooldown"]) == rerun_invariants.COOLDOWN
    assert run["on_drift"]["at_most"] == f"{rerun_invariants.MOST_FOR_DRIFT} a month"
    assert durations.parse(soaked["soak"]) == wait_invariants.SOAK
    assert found["windowed"]["stages"][0]["window"] == {"from": "00:00", "to": "12:00", "zone": "UTC"}


def test_every_route_is_played_and_can_be_held() -> None:
    found = routes()
    assert set(STAGES) <= set(found)
    played = {model.partition("-")[0] for model in models_for(len(found))}
    assert played == {name for name, route in found.items() if route.get("models") and route["from"] == "dev"}
    windowed = [
        f"{SOURCE}/{name}" for name, route in found.items() if any("window" in each for each in route["stages"])
    ]
    soaked = [f"{SOURCE}/{name}" for name, route in found.items() if any("soak" in each for each in route["stages"])]
    assert (windowed, soaked) == ([wait_invariants.WINDOWED], [wait_invariants.SOAKED])


def test_a_quiet_edition_has_no_schedule_and_is_the_same_otherwise() -> None:
    loud, quiet = files_of("one"), files_of("one", is_quiet=True)
    assert {name for name in loud if loud[name] != quiet[name]} == {CONFIGURATION}
    assert SCHEDULE in loud[CONFIGURATION]
    assert SCHEDULE not in quiet[CONFIGURATION]
