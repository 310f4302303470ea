"""Approving in the app of an environment that takes its approvals itself."""

from collections.abc import Iterator
from typing import Any

import pytest

from mlpromote.exit_codes import ExitCode
from tests.mlpromote.conftest import CommandLine
from tests.mlpromote.documents import MEASURED
from tests.mlpromote.stub import Answer, StubApp, problem

ID = "digits-3-0123456789ab"
DIGEST = "d" * 40
ELSEWHERE = problem(
    409,
    "prod takes approvals in its own app: decide there. It says: waits, in the app of prod (https://evil.test)",
    elsewhere={"stage": "prod", "environment": "prod-eu"},
)
REQUEST: dict[str, Any] = {
    "promotion": ID,
    "stage": "prod",
    "environment": "prod-eu",
    "model": "digits",
    "version": "3",
    "evidence": DIGEST,
    "shown": {
        "manifest": {
            "model": "azureml://registries/reg/models/digits/versions/3",
            "files": {"scoring/score.py": "f00" * 21},
            "files_left_out": 2,
        }
    },
    "min": 2,
    "until": "2026-11-23T12:00:00+00:00",
    "decisions": [{"name": "bob", "decision": "approved"}],
}


@pytest.fixture
def prod(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubApp]:
    """The environment's own app, which the person has set."""
    with StubApp().serving() as app:
        monkeypatch.setenv("MLPROMOTE_PROD_EU_URL", app.url)
        monkeypatch.setenv("MLPROMOTE_PROD_EU_TOKEN", "for prod alone")
        yield app


def test_an_approval_goes_to_the_environments_own_app_for_exactly_what_that_shows(
    mlpromote: CommandLine, app: StubApp, prod: StubApp
) -> None:
    app.will_answer(ELSEWHERE)
    prod.will_answer(Answer(REQUEST), Answer({"done": "approved by carol: fine", "request": REQUEST}, 202))
    ended = mlpromote("approve", ID, "--reason", "fine")
    assert (ended.code, ended.output.splitlines()[-1]) == (ExitCode.DONE, "approved by carol: fine")
    assert "digits/3" in ended.errors + ended.output
    asked = prod.asked[-1]
    assert asked.path == f"/api/approvals/{ID}/prod/approve"
    assert asked.body == {"reason": "fine", "evidence": DIGEST}
    assert asked.headers["Authorization"] == "Bearer for prod alone"


def test_no_token_goes_where_only_the_coordinator_says_the_app_is(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(ELSEWHERE)
    ended = mlpromote("reject", ID, "--reason", "no")
    assert ended.code == ExitCode.REFUSED
    assert "Set MLPROMOTE_PROD_EU_URL" in " ".join(ended.errors.split())
    assert len(app.asked) == 1


def test_nothing_is_approved_where_the_environment_asks_about_another_model(
    mlpromote: CommandLine, app: StubApp, prod: StubApp
) -> None:
    """A coordinator that leads to the promotion of another model."""
    page = {"value": [{"id": ID, "version": "3", "kind": "model"}], "next_link": None}
    app.will_answer(Answer(page), ELSEWHERE)
    prod.will_answer(Answer({**REQUEST, "model": "open-evil"}))
    ended = mlpromote("approve", "digits/3", "--reason", "fine")
    assert ended.code == ExitCode.REFUSED
    assert "open-evil/3" in ended.errors
    assert [request.method for request in prod.asked] == ["GET"]


def test_what_waits_is_listed_with_its_files(mlpromote: CommandLine, app: StubApp, prod: StubApp) -> None:
    prod.will_answer(Answer({"value": [REQUEST]}))
    shown = mlpromote("approvals", "--environment", "prod-eu").output
    for said in (ID, "digits/3", "1 of 2 approved", DIGEST, "f00f00f00f00 scoring/score.py", "and 2 more files"):
        assert said in shown
    prod.will_answer(Answer({"value": []}))
    assert mlpromote("approvals", "--environment", "prod-eu").output == "nothing waits for approval\n"


def test_what_was_measured_is_listed_with_the_data_and_the_page_of_the_run(
    mlpromote: CommandLine, app: StubApp, prod: StubApp
) -> None:
    prod.will_answer(Answer({"value": [{**REQUEST, "shown": {**REQUEST["shown"], "evaluation": MEASURED}}]}))
    lines = [line.split() for line in mlpromote("approvals", "--environment", "prod-eu").output.splitlines()]
    for line in (
        ["metric", "candidate", "champion"],
        ["auc", "0.91", "0.9"],
        ["data:", "holdout,", "version", "7"],
        ["https://ml.azure.com/runs/x"],
    ):
        assert line in lines


def test_what_changes_of_the_endpoint_is_listed(mlpromote: CommandLine, app: StubApp, prod: StubApp) -> None:
    shown = {**REQUEST["shown"], "endpoint_changes": {"auth_mode": "key → aad_token"}}
    prod.will_answer(Answer({"value": [{**REQUEST, "shown": shown}]}))
    said = mlpromote("approvals", "--environment", "prod-eu").output
    assert "changes the endpoint's auth_mode: key → aad_token" in said


def test_an_environment_whose_app_is_not_known_is_told_how_to_make_it_known(
    mlpromote: CommandLine, app: StubApp
) -> None:
    ended = mlpromote("approvals", "--environment", "test")
    assert ended.code == ExitCode.USAGE
    assert "MLPROMOTE_TEST_URL" in ended.errors


def test_an_app_without_approvals_of_its_own_says_where_approvals_are_shown(
    mlpromote: CommandLine, app: StubApp
) -> None:
    app.will_answer(Answer("", 404), Answer({"value": [], "next_link": None}))
    ended = mlpromote("approvals")
    assert ended.code == ExitCode.NOT_FOUND
    assert "`mlpromote list --status running`" in ended.errors
    assert "No mlpromote API" not in ended.errors


def test_approvals_at_a_wrong_address_say_that_no_app_is_there(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer("", 404))
    ended = mlpromote("approvals")
    assert (ended.code, "No mlpromote API" in ended.errors) == (ExitCode.NO_ANSWER, True)
