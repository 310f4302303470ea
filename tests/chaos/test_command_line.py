"""The command line of the harness, as far as that can be tested without a run."""

import pytest

from tests.chaos.__main__ import main, models_for


def test_help_says_what_can_be_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    shown = capsys.readouterr().out
    assert all(option in shown for option in ("--kills", "--seed", "--lanes", "--round", "--folder"))


@pytest.mark.parametrize("number", ["0", "-1", "many"])
def test_a_number_of_kills_that_makes_no_sense_is_refused(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([f"--kills={number}"])
    assert f"{number!r} is no whole number from 1 on" in capsys.readouterr().err


def test_the_lanes_are_divided_among_the_routes() -> None:
    assert models_for(6) == ["straight-1", "careful-1", "gradual-1", "windowed-1", "batch-1", "straight-2"]
