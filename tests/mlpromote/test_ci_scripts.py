"""The scripts of the CI templates, run as the services run them, with an app to ask; `gh`, `curl` and `pip` only note
what they were asked."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from shared.config import bundle
from tests.mlpromote.conftest import CommandLine
from tests.mlpromote.stub import Answer, Request, StubApp
from tests.mlpromote.test_init import PIPELINE, WORKFLOW, loaded, scripts

CHANGE = {"route": "team/churn", "change": "changed", "settings": [], "files": ["scoring/score.py"]}
FAULT = {"place": "routes.churn.models", "sentence": "are promoted by credit-team/churn already"}
#: What Azure Pipelines puts into a script before a shell reads it.
PLACES = {
    "System.CollectionUri": "https://dev.azure.com/contoso/",
    "System.TeamProject": "churn",
    "Build.Repository.ID": "4711",
    "System.PullRequest.PullRequestId": "12",
    "Build.SourceVersion": "0123abcd",
}
NOTES = f"""#!{sys.executable}
import json, pathlib, sys
with pathlib.Path(sys.argv[0] + ".json").open("a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
"""


class Machine:
    """A runner of CI in a team's repository."""

    def __init__(self, folder: Path, app: StubApp) -> None:
        self.folder = folder
        self._app = app
        self._tools, self.temporary = folder.parent / "tools", folder.parent / "temporary"
        for made in (self._tools, self.temporary):
            made.mkdir()
        for name in ("gh", "curl", "pip"):
            (self._tools / name).write_text(NOTES, encoding="utf-8")
            (self._tools / name).chmod(0o755)

    def run(self, script: str, *shell: str) -> subprocess.CompletedProcess[str]:
        for name, value in {**PLACES, "Agent.TempDirectory": str(self.temporary)}.items():
            script = script.replace(f"$({name})", value)
        path = os.pathsep.join((str(self._tools), str(Path(sys.executable).parent), os.environ["PATH"]))
        variables = {
            "PATH": path,
            "HOME": str(self.temporary),
            "MLPROMOTE_URL": self._app.url,
            "MLPROMOTE_TOKEN": "of-the-service",
            "MLPROMOTE_SOURCE": "team",
            "GITHUB_SHA": "0123abcd",
            "NUMBER": "12",
            "RUNNER_TEMP": str(self.temporary),
            "SYSTEM_ACCESSTOKEN": "of-the-build",
        }
        return subprocess.run(
            [*shell, "-c", script], cwd=self.folder, env=variables, capture_output=True, text=True, check=False
        )

    def asked(self, tool: str) -> Sequence[Sequence[str]]:
        """The arguments of each call."""
        noted = self._tools / f"{tool}.json"
        return [json.loads(line) for line in noted.read_text().splitlines()] if noted.exists() else []


@pytest.fixture
def machine(mlpromote: CommandLine, app: StubApp, tmp_path: Path) -> Machine:
    folder = tmp_path / "runner" / "a team's repository"
    assert mlpromote("init", "churn", "--folder", str(folder)).code == 0
    return Machine(folder, app)


def answers(*faults: Mapping[str, str]) -> Any:
    """An app that has the source `team`, and finds these faults."""

    def answer(request: Request) -> Answer:
        digest = request.path.rpartition("/")[2]
        if request.method == "PUT":
            return Answer({"digest": digest, "files": len(bundle.read(request.body)), "bytes": len(request.body)})
        found = {"source": "team", "expected": None, "faults": list(faults), "changes": [] if faults else [CHANGE]}
        if request.path.endswith("/preview"):
            return Answer({**found, "digest": request.body["digest"]})
        at = "2026-11-20T12:00:00+00:00"
        made = {"digest": request.body["digest"], "person": "ci", "name": "ci", "reason": "", "at": at, "back": False}
        shown = {"source": "team", "published": made, "routes": ["team/churn"], "trouble": None, "history": [made]}
        return Answer({**shown, "changes": [CHANGE]})

    return answer


def of_github(machine: Machine, word: str) -> str:
    [script] = {each for each in scripts(loaded(machine.folder / WORKFLOW)) if word in each}
    return script


def of_azure(machine: Machine, word: str) -> str:
    [script] = {each for each in scripts(loaded(machine.folder / PIPELINE)) if word in each}
    return script


#: As GitHub runs a script without `shell`, and Azure Pipelines one of a task.
GITHUB, AZURE = ("bash", "-e"), ("bash", "--noprofile", "--norc")


def test_what_they_install_is_what_wrote_them(machine: Machine, mlpromote: CommandLine) -> None:
    version = mlpromote("--version").output.split()[1]
    for file in (WORKFLOW, PIPELINE):
        for script in {each for each in scripts(loaded(machine.folder / file)) if each.startswith("pip ")}:
            assert machine.run(script, *GITHUB).returncode == 0
    assert {tuple(call) for call in machine.asked("pip")} == {
        ("install", f"mlpromote[{extras}]=={version}") for extras in ("check", "check,entra")
    }


def test_both_check_the_repository(machine: Machine) -> None:
    (machine.folder / "scoring" / "score.py").write_text("def init(): ...\n", encoding="utf-8")
    told = machine.run(of_github(machine, "mlpromote check"), *GITHUB)
    assert told.returncode == 1
    assert told.stdout.startswith("::error file=scoring/score.py,line=1,")
    told = machine.run(of_azure(machine, "mlpromote check"), *AZURE)
    assert told.returncode == 1
    assert "scoring/score.py:1:1: has no function run" in told.stdout


def test_github_comments_the_diff_on_the_pull_request(machine: Machine, app: StubApp) -> None:
    app.will_answer(answers())
    ended = machine.run(of_github(machine, "mlpromote diff"), *GITHUB)
    assert ended.returncode == 0, ended.stderr
    [call] = machine.asked("gh")
    assert call == [
        *["pr", "comment", "12", "--edit-last", "--create-if-none", "--body-file"],
        str(machine.temporary / "comment.md"),
    ]
    comment = (machine.temporary / "comment.md").read_text(encoding="utf-8")
    assert comment == "### What publishing this would change\n```\nteam/churn: changed\n  scoring/score.py\n```\n"


def test_azure_comments_the_diff_on_the_pull_request(machine: Machine, app: StubApp) -> None:
    app.will_answer(answers())
    for word in ("mlpromote diff", "curl"):
        ended = machine.run(of_azure(machine, word), *AZURE)
        assert ended.returncode == 0, ended.stderr
    [call] = machine.asked("curl")
    assert call[-1] == (
        "https://dev.azure.com/contoso/churn/_apis/git/repositories/4711/pullRequests/12/threads?api-version=7.1"
    )
    assert "Authorization: Bearer of-the-build" in call
    [comment] = json.loads((machine.temporary / "comment.json").read_text(encoding="utf-8"))["comments"]
    assert "team/churn: changed\n  scoring/score.py\n" in comment["content"]


def test_a_pull_request_that_the_app_would_refuse_gets_the_reason_and_fails(machine: Machine, app: StubApp) -> None:
    app.will_answer(answers(FAULT))
    ended = machine.run(of_github(machine, "mlpromote diff"), *GITHUB)
    assert ended.returncode == 1
    assert FAULT["sentence"] in ended.stdout
    assert len(machine.asked("gh")) == 1
    assert FAULT["sentence"] in (machine.temporary / "comment.md").read_text(encoding="utf-8")
    ended = machine.run(of_azure(machine, "mlpromote diff"), *AZURE)
    assert ended.returncode == 1
    assert machine.run(of_azure(machine, "curl"), *AZURE).returncode == 0
    assert FAULT["sentence"] in (machine.temporary / "comment.json").read_text(encoding="utf-8")


def test_azure_comments_also_if_the_diff_has_failed(machine: Machine) -> None:
    stages = loaded(machine.folder / PIPELINE)["stages"]
    [steps] = [stage["jobs"][0]["steps"] for stage in stages if stage["stage"] == "diff"]
    assert steps[-1]["condition"].startswith("and(succeededOrFailed(), ")


def test_both_publish_with_the_commit_as_the_reason(machine: Machine, app: StubApp) -> None:
    for script, shell in (
        (of_github(machine, "mlpromote publish"), GITHUB),
        (of_azure(machine, "mlpromote publish"), AZURE),
    ):
        app.will_answer(answers())
        ended = machine.run(script, *shell)
        assert ended.returncode == 0, ended.stderr
        assert app.asked[-1].path == "/api/sources/team/publish"
        assert app.asked[-1].body["reason"] == "commit 0123abcd"
        assert app.asked[-1].headers["Authorization"] == "Bearer of-the-service"
