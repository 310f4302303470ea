from datetime import timedelta
from typing import Any

import pytest
from rich.console import Console, RenderableType

from mlpromote.picture import changes, picture
from tests.examples.promotion_document import BEGAN, EVIDENCE, after, crashed, promotion, stage, step, under_way

NOW = BEGAN + timedelta(seconds=12)


def printed(*parts: RenderableType, width: int = 80) -> list[str]:
    console = Console(width=width, force_terminal=False)
    with console.capture() as capture:
        console.print(*parts)
    return [line.rstrip() for line in capture.get().splitlines()]


def drawn(document: Any, width: int = 80) -> list[str]:
    return printed(picture(document, NOW), width=width)


def test_every_stage_and_step_has_a_line_with_how_long_it_took() -> None:
    lines = drawn(under_way())

    assert lines[0].split() == ["✓", "test", "endpoint", "digits-test", "6.5", "s"]
    assert [line.split()[1] for line in lines[1:7]] == ["share", "validate", "deploy", "smoke", "shift", "retire"]
    assert lines[8].split() == ["✓", "validate", "gate", "passed:", "accuracy", "0.9648", "0.4", "s"]


def test_what_is_under_way_says_what_it_waits_for_and_when_it_is_polled_next() -> None:
    (line,) = (line for line in drawn(under_way()) if "deploy" in line and "created" in line)

    assert "the deployment is being created; next poll in 3 s" in line
    assert line.endswith("3.0 s")


def test_a_failure_is_reported_in_full_and_what_was_taken_back_follows() -> None:
    text = "\n".join(drawn(crashed()))

    assert "✗ deploy" in text
    assert "init() raised AttributeError" in text
    assert "↩ remove" in text


@pytest.mark.parametrize("width", [80, 120])
def test_what_is_taken_back_is_named_in_full(width: int) -> None:
    undoing = [
        step("reinstate", "succeeded", 4, 5, evidence={"deployment": "v1-a"}),
        step("restore", "succeeded", 5, 6, evidence={"traffic": {"v1-a": 100}}),
    ]
    document = promotion(
        "rolled-back", [stage("test", "rolled-back", [step("shift", "succeeded", 1, 4)], undoing=undoing)]
    )

    lines = [" ".join(line.split()) for line in drawn(document, width)]

    assert "✓ ↩ reinstate deployment v1-a is ready 1.0 s" in lines
    assert "✓ ↩ restore 100 % of the traffic to v1-a 1.0 s" in lines
    told_once = [" ".join(line.split()) for line in printed(*changes(None, document, NOW), width=width)]
    assert "✓ test ↩ reinstate deployment v1-a is ready 1.0 s" in told_once


def test_a_step_that_its_stage_turned_back_from_says_what_it_saw_last() -> None:
    deploy = step("deploy", "stopped", 1, 4, says="the endpoint is being created")
    document = promotion(
        "cancelled", [stage("test", "cancelled", [deploy], undoing=[step("remove", "succeeded", 4, 6)])]
    )

    (line,) = (line for line in drawn(document) if "deploy" in line)

    assert " ".join(line.split()) == "– deploy stopped; last seen: the endpoint is being created 3.0 s"


def test_a_long_reason_is_wrapped_and_not_cut() -> None:
    reason = "the container crashed because " + "something happened and " * 8 + "then it ended"
    failure = {"kind": "container-crash", "reason": reason, "diagnosis": ""}
    document = promotion("failed", [stage("test", "failed", [step("deploy", "failed", 1, 2, failure=failure)])])

    told = " ".join(" ".join(drawn(document)).replace("1.0 s", "").split())

    assert reason in told


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    document = under_way()
    document["stages"][0]["steps"][2]["evidence"] = {"deployment": "x" * 200}
    document["stages"][1]["steps"][1]["says"] = "deployment " + "x" * 200

    assert all(len(line) <= width for line in drawn(document, width))


def test_on_a_plain_terminal_each_step_is_reported_once_when_it_has_ended() -> None:
    first, second = under_way(), under_way()
    second["stages"][1]["steps"][1].update(status="succeeded", ended=after(15), evidence=EVIDENCE["deploy"])

    told = printed(*changes(None, first, NOW))
    news = printed(*changes(first, second, NOW))

    assert [line.split()[1:3] for line in told[:2]] == [["test", "share"], ["test", "validate"]]
    assert len([line for line in told if "✓" in line]) == 7
    assert [line.split()[:3] for line in news] == [["✓", "prod", "deploy"]]


def test_a_status_that_is_not_known_does_not_stop_the_picture() -> None:
    document = promotion("running", [stage("test", "paused", [step("soak", "paused")])])

    assert drawn(document)[1].split() == ["?", "soak"]


def test_what_a_failed_stage_did_not_get_to_is_left_out_and_what_lies_ahead_of_a_running_one_is_shown() -> None:
    ahead = [line.split() for line in drawn(under_way())]
    left = [line.split() for line in drawn(crashed())]

    assert ["·", "smoke"] in ahead
    assert not any("smoke" in words for words in left)


def test_what_took_long_is_reported_in_minutes_hours_and_days_on_one_line() -> None:
    lasting = {100: "2 min", 99: "99.0 s", 2295: "38 min", 7200: "2 h", 259200: "3 d"}
    for seconds, words in lasting.items():
        document = promotion("succeeded", [stage("test", "succeeded", [step("approve", "succeeded", 0, seconds)])])
        assert any(line.endswith(words) for line in drawn(document)), (words, drawn(document))


def test_a_stage_without_an_endpoint_names_none() -> None:
    registering = stage("register", "failed", [step("register", "failed", 1, 2)], endpoint=None)

    assert drawn(promotion("failed", [registering]))[0].split() == ["✗", "register", "1.0", "s"]


def test_a_stage_without_an_endpoint_says_what_it_replaces_without_a_comma() -> None:
    live = stage("live", "succeeded", [step("run", "succeeded", 1, 2)], endpoint=None, replaces="a_job")

    assert drawn(promotion("succeeded", [live]))[0].split() == ["✓", "live", "replaces", "version", "a_job", "1.0", "s"]
