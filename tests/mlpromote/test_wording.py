from datetime import timedelta
from io import StringIO

import pytest
from rich.console import Console

from mlpromote.evaluations import evaluation_lines
from mlpromote.promotion_sheet import sheet
from mlpromote.wording import told
from tests.examples.promotion_document import BEGAN, EVIDENCE, after, promotion, stage, step
from tests.mlpromote.documents import MEASURED

NOW = BEGAN + timedelta(seconds=10)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("share", "copied to the registry; auc 0.9982"),
        ("validate", "gate passed: accuracy 0.9648"),
        ("deploy", "deployment v1-c19640d960 is ready, no traffic yet"),
        ("smoke", "3 requests as expected, the slowest in 6 ms"),
        ("shift", "100 % of the traffic to v1-c19640d960"),
        ("retire", "no other deployments remain"),
    ],
)
def test_what_a_step_saw_is_reported_in_a_line(name: str, words: str) -> None:
    assert told(step(name, "succeeded", 0, 1, evidence=EVIDENCE[name]), NOW) == words


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        ({"rows": 4}, "4 rows written; nothing to compare them with"),
        (
            {"rows": 4, "differing": 1, "disagreement": 0.25, "champion": "v1-abc"},
            "4 rows written; 1 (25.00%) differ from those of v1-abc",
        ),
    ],
)
def test_the_test_of_a_batch_deployment_is_told_with_its_figures(evidence: dict[str, object], words: str) -> None:
    assert told(step("invoke", "succeeded", 0, 1, evidence=evidence), NOW) == words


def test_a_metric_with_several_gates_is_reported_once_and_gates_without_figures_are_not_counted() -> None:
    gates = [
        {"gate": "tag promote", "seen": "true"},
        {"gate": "training job", "seen": "Completed"},
        {"gate": "metric auc", "seen": "0.99"},
        {"gate": "metric auc", "seen": "0.99; there is no champion: pass"},
    ]

    assert told(step("validate", "succeeded", 0, 1, evidence={"gates": gates}), NOW) == "gate passed: auc 0.99"
    more = [*gates, {"gate": "metric loss", "seen": "0.1"}]
    told_more = told(step("validate", "succeeded", 0, 1, evidence={"gates": more}), NOW)
    assert told_more == "gates passed: auc 0.99, loss 0.1"


def test_gates_without_figures_are_named_where_no_metric_is_asked_for() -> None:
    gates = [{"gate": "tag promote", "seen": "true"}, {"gate": "training job", "seen": "Completed"}]

    told_gates = told(step("validate", "succeeded", 0, 1, evidence={"gates": gates}), NOW)
    assert told_gates == "gates passed: tag promote, training job"


def test_an_evaluation_is_told_in_a_line_with_both_figures_and_the_data() -> None:
    assert told(step("evaluate", "succeeded", 0, 1, evidence=MEASURED), NOW) == "auc 0.91 (champion 0.9) on holdout 7"
    alone = {**MEASURED, "champion": None}
    assert told(step("evaluate", "succeeded", 0, 1, evidence=alone), NOW) == "auc 0.91 on holdout 7"


def test_an_evaluation_is_shown_with_candidate_and_champion_side_by_side() -> None:
    assert list(evaluation_lines(MEASURED)) == [
        "metric  candidate  champion",
        "auc     0.91       0.9",
        "loss    NaN        0.25",
        "data: holdout, version 7",
        "job digits-3-prod-evaluate-1",
        "digest of its file and code sha256:" + "ab" * 32,
        "https://ml.azure.com/runs/x",
    ]
    assert next(evaluation_lines({**MEASURED, "champion": None})) == "metric  candidate"
    assert list(evaluation_lines({})) == []


def test_a_promotion_is_shown_with_what_was_measured() -> None:
    at_prod = stage("prod", "running", [step("evaluate", "succeeded", 0, 1, evidence=MEASURED)], approval=None)
    document = promotion("running", [at_prod], requested_by="alice", waits=[])
    console = Console(width=100, record=True, file=StringIO())
    console.print(sheet(document, NOW))
    shown = console.export_text()
    assert "measured in prod:" in shown
    assert "    auc     0.91       0.9\n" in "".join(line.rstrip() + "\n" for line in shown.splitlines())
    assert "data: holdout, version 7" in shown
    assert "https://ml.azure.com/runs/x" in shown


def test_a_step_without_words_of_its_own_shows_its_values_cut_short() -> None:
    evidence = {"minutes": 10, "rate": 0.123456, "note": "x" * 100, "inner": {"not": "shown"}}

    assert told(step("soak", "succeeded", 0, 1, evidence=evidence), NOW) == f"minutes 10, rate 0.1235, note {'x' * 40}"


@pytest.mark.parametrize(
    ("name", "evidence", "words"),
    [
        ("remove", {"deployment": "v2-b"}, "deployment v2-b removed"),
        ("remove", {"not_there": "v2-b"}, "no deployment to remove"),
        ("remove", {"left_alone": "v2-b"}, "kept: v2-b (not from this promotion)"),
        ("reinstate", {"deployment": "v1-a"}, "deployment v1-a is ready"),
        ("reinstate", {}, "nothing served before, so there is nothing to restore"),
        ("restore", {"traffic": {"v1-a": 100}}, "100 % of the traffic to v1-a"),
        ("restore", {"traffic": {}}, "no deployment takes traffic"),
        ("cancel_job", {"cancelled": ["job-1"], "ended": []}, "cancelled job job-1"),
        ("cancel_job", {"cancelled": [], "ended": ["job-1"]}, "no job was under way"),
        ("register", {"model": "digits", "version": "4", "asset": "azureml://x"}, "registered as digits/4"),
    ],
)
def test_what_was_taken_back_or_registered_is_reported_in_a_line(
    name: str, evidence: dict[str, object], words: str
) -> None:
    assert told(step(name, "succeeded", 0, 1, evidence=evidence), NOW) == words


def test_deployments_that_were_left_alone_are_named_with_the_reason() -> None:
    evidence = {"left_alone": {"by-hand": "not made by this route"}}

    assert told(step("retire", "succeeded", 0, 1, evidence=evidence), NOW) == "kept: by-hand (not made by this route)"


@pytest.mark.parametrize(("next_poll", "words"), [(13, "being made; next poll in 3 s"), (10.2, "being made")])
def test_what_is_under_way_says_when_it_is_polled_next_unless_that_is_now(next_poll: float, words: str) -> None:
    assert told(step("deploy", "running", 1, says="being made", next_poll=after(next_poll)), NOW) == words


def test_a_stage_without_gates_says_that_none_is_set() -> None:
    assert told(step("validate", "succeeded", 0, 1, evidence={"gates": []}), NOW) == "no gate is set"


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        ({"requests": 0, "answers": 0, "failures": 0}, "no smoke requests are set"),
        ({"requests": 1, "answers": 1, "slowest_ms": 12.4}, "1 request as expected, in 12 ms"),
        ({"requests": 3, "answers": 3, "slowest_ms": 12.4}, "3 requests as expected, the slowest in 12 ms"),
    ],
)
def test_smoke_requests_are_counted_as_people_count(evidence: dict[str, object], words: str) -> None:
    assert told(step("smoke", "succeeded", 0, 1, evidence=evidence), NOW) == words
