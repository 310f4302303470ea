"""The command line with the real app, in a local cloud."""

from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from localcloud.up import LocalCloud
from mlpromote.exit_codes import ExitCode
from tests.functions.running import describe
from tests.mlpromote.conftest import CommandLine, Ended

#: The identity of dev may do nothing in the workspace of prod.
WRONG_IDENTITY = "{identity_dev}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Of a local cloud that runs the app, with one thing wrong for the doctor to find."""
    data = tmp_path_factory.mktemp("command-line") / "data"
    async with LocalCloud(describe(PROD_IDENTITY=WRONG_IDENTITY), data):
        yield data


@pytest.fixture
def local(mlpromote: CommandLine, folder: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.setenv("MLPROMOTE_LOCAL", str(folder))
    return mlpromote


def start(mlpromote: CommandLine, *more: str) -> Ended:
    """Of a version that is not there, so that its promotion soon fails."""
    return mlpromote("start", "digits", "404", "--reason", "a test", "--json", *more)


def test_a_promotion_is_started_watched_listed_and_shown(local: CommandLine) -> None:
    ended = local("start", "digits", "404", "--reason", "a test", "--watch")
    assert ended.code == ExitCode.REFUSED
    assert "There is no model digits, version 404, in dev" in " ".join(ended.output.split())
    assert local("show", "digits/404", "--watch").code == ExitCode.REFUSED
    [newest] = local("list", "--model", "digits", "--status", "failed", "--top", "1", "--json").document
    shown = local("show", newest["id"], "--journal")
    assert shown.code == 0
    assert f"{newest['id']}, requested by function key" in " ".join(shown.output.split())
    assert f"{newest['model']}/{newest['version']}" in local("list").output


def test_the_same_start_with_the_same_key_is_one_promotion(local: CommandLine) -> None:
    first, second = (start(local, "--idempotency-key", "once") for _ in range(2))
    assert first.document["id"] == second.document["id"]
    other = local("start", "digits", "405", "--reason", "a test", "--idempotency-key", "once")
    assert (other.code, other.output) == (ExitCode.USAGE, "")


def test_failures_are_listed_and_replayed_by_those_who_may(local: CommandLine) -> None:
    promotion = start(local).document["id"]
    assert local("show", promotion, "--watch").code == ExitCode.REFUSED
    [failure] = [one for one in local("failures", "--all", "--json").document if one["id"] == promotion]
    assert (failure["kind"], failure["step"], failure["replay"]["safe"]) == ("not-found", "share", True)
    replay = ("replay", promotion, "--reason", "again")
    assert local(*replay).code == ExitCode.NOT_ALLOWED
    assert local(*replay, "--as", "bob").code == ExitCode.NOT_ALLOWED
    dry = local(*replay, "--as", "alice", "--dry-run")
    assert (dry.code, "replayable" in dry.output) == (0, True)
    replayed = local(*replay, "--as", "alice")
    assert (replayed.code, "replayed" in replayed.output) == (0, True)
    assert local("replay", "steps-dev:1", "--reason", "x", "--as", "alice").code == ExitCode.NOT_FOUND


def test_steering_is_for_people_with_a_role_and_refused_where_it_does_not_apply(local: CommandLine) -> None:
    promotion = start(local).document["id"]
    assert local("show", promotion, "--watch").code == ExitCode.REFUSED
    for action in ("approve", "reject", "cancel", "roll-back", "abandon", "retire"):
        assert local(action, promotion, "--reason", "x").code == ExitCode.NOT_ALLOWED
        ended = local(action, promotion, "--reason", "x", "--as", "alice")
        assert (ended.code, ended.output) == (ExitCode.REFUSED, "")
        assert local(action, "nobody", "--reason", "x", "--as", "alice").code == ExitCode.NOT_FOUND
    retried = local("retry", promotion, "--reason", "x", "--as", "alice", "--from-step", "share")
    assert retried.code == 0
    assert "retried by alice: x; from test" in retried.output
    assert local("release", "digits", "digits", "prod", "--reason", "x", "--as", "alice").code == ExitCode.REFUSED
    assert local("release", "digits", "nothing", "prod", "--reason", "x", "--as", "alice").code == ExitCode.NOT_FOUND


def test_routes_are_shown(local: CommandLine) -> None:
    start(local)
    assert "digits" in local("routes").output
    [lane] = local("routes", "--route", "digits", "--json").document
    assert [stage["name"] for stage in lane["stages"]] == ["test", "prod"]


def test_the_doctor_finds_the_right_that_is_missing_and_nothing_else(local: CommandLine) -> None:
    refused = local("doctor", "--as", "bob")
    assert refused.code == ExitCode.NOT_ALLOWED
    assert "bob needs the role Promotion.Operator" in " ".join(refused.output.split())
    ended = local("doctor", "--json", "--as", "alice")
    assert ended.code == ExitCode.REFUSED
    checks = ended.document["checks"]
    assert {(one["what"], one["name"]) for one in checks if not one["ok"]} == {("workspace", "prod")}
    unread = {("rights", "prod"), ("events", "prod")}
    assert {(one["what"], one["name"]) for one in checks if one["state"] == "unchecked"} == unread
    [fault] = [one for one in checks if not one["ok"]]
    assert "Give the identity the role that allows it." in fault["says"]
    of_the_app = {"app", "you", "configuration", "sign-in", "store", "topic", "queue"}
    assert of_the_app | {"workspace", "registry", "rights", "events", "quota"} == {one["what"] for one in checks}
    [you] = [one for one in checks if one["what"] == "you"]
    assert (you["name"], you["says"]) == ("alice", "Promotion.Operator, Promotion.Approver")


def test_an_invalid_key_is_refused(local: CommandLine) -> None:
    ended = local("list", "--key", "made-up")
    assert ended.code == ExitCode.NOT_ALLOWED
    assert "Access denied" in ended.errors
