"""What `mlpromote init` writes for other services, checked with the tools of those who use them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.mlpromote.conftest import CommandLine
from tests.mlpromote.test_init import PIPELINE, WORKFLOW, loaded, scripts

REPOSITORY = Path(__file__).parents[2]
OWN_SCRIPTS = [*REPOSITORY.glob("infra/*.sh"), *REPOSITORY.glob("scripts/*.sh"), REPOSITORY / ".ci" / "run"]
TOOLS = Path(sys.executable).parent
#: There is no wheel for Linux on ARM.
SHELLCHECK = TOOLS / "shellcheck"
needs_shellcheck = pytest.mark.skipif(not SHELLCHECK.exists(), reason="there is no shellcheck for this machine")


@pytest.fixture
def made(mlpromote: CommandLine, tmp_path: Path) -> Path:
    """A team's new repository."""
    folder = tmp_path / "team"
    assert mlpromote("init", "churn", "--folder", str(folder)).code == 0
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    return folder


def run(*words: str | Path, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """With the tools and the command first on the path."""
    environment = {**os.environ, "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}", **variables}
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)


# --- GitHub Actions ---


def linted(folder: Path) -> list[dict[str, Any]]:
    """What actionlint says, also of the scripts where there is a shellcheck."""
    ended = run(TOOLS / "actionlint", "-format", "{{json .}}", WORKFLOW, folder=folder)
    assert ended.returncode in (0, 1), ended.stderr
    found: list[dict[str, Any]] = json.loads(ended.stdout or "[]")
    return found


def test_actionlint_finds_nothing_wrong_with_the_workflow(made: Path) -> None:
    assert linted(made) == []


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("needs: check", "needs: chekc", '"chekc"'),
        ("github.event_name == 'push'", "github.evnt_name == 'push'", "evnt_name"),
        ("actions/checkout@v7", "actions/checkout@v3", "actions/checkout@v3"),
        ("allow-no-subscriptions:", "allow-no-subscription:", "allow-no-subscription"),
    ],
)
def test_actionlint_would_find_it(right: str, wrong: str, says: str, made: Path) -> None:
    file = made / WORKFLOW
    text = file.read_text(encoding="utf-8")
    assert right in text
    file.write_text(text.replace(right, wrong), encoding="utf-8")
    assert any(says in each["message"] for each in linted(made))


# --- scripts ---


def shellchecked(script: str, shell: str = "bash") -> str:
    ended = subprocess.run(
        [SHELLCHECK, "--shell", shell, "--norc", "-"], input=script, capture_output=True, text=True, check=False
    )
    return ended.stdout


@needs_shellcheck
def test_shellcheck_finds_nothing_wrong_with_the_scripts_of_the_pipeline(made: Path) -> None:
    found = list(scripts(loaded(made / PIPELINE)))
    assert found
    for script in found:
        assert shellchecked(script) == ""


@needs_shellcheck
@pytest.mark.parametrize("file", sorted(each.relative_to(REPOSITORY).as_posix() for each in OWN_SCRIPTS), ids=str)
def test_shellcheck_finds_nothing_wrong_with_our_own_scripts(file: str) -> None:
    text = (REPOSITORY / file).read_text(encoding="utf-8")
    shell = text.splitlines()[0].rpartition("/")[2].removeprefix("env ")
    assert shellchecked(text, shell) == ""


# --- pre-commit ---


def commit(folder: Path) -> subprocess.CompletedProcess[str]:
    """Try to commit everything, as a person whom the variables describe."""
    name = {f"GIT_{role}_{what}": "paul@contoso.test" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    home = {"PRE_COMMIT_HOME": str(folder.parent / "pre-commit")}
    assert run("git", "add", "--all", folder=folder).returncode == 0
    return run("git", "commit", "--message", "a change", folder=folder, **name, **home)


def test_pre_commit_stops_a_commit_with_a_fault_and_lets_others_pass(made: Path) -> None:
    """With the command that is installed here: pre-commit would fetch it from the registry of packages."""
    file = made / ".pre-commit-config.yaml"
    content = loaded(file)
    [hook] = content["repos"][0]["hooks"]
    assert hook.pop("additional_dependencies")
    hook["language"] = "unsupported"
    file.write_text(json.dumps(content), encoding="utf-8")
    installed = run("pre-commit", "install", folder=made, PRE_COMMIT_HOME=str(made.parent / "pre-commit"))
    assert installed.returncode == 0, installed.stdout + installed.stderr
    assert commit(made).returncode == 0
    (made / "scoring" / "score.py").write_text("def init(:\n", encoding="utf-8")
    stopped = commit(made)
    assert stopped.returncode == 1
    assert "scoring/score.py:1:10: does not compile" in stopped.stdout + stopped.stderr
    assert run("git", "log", "--oneline", folder=made).stdout.count("\n") == 1


def test_pre_commit_accepts_the_files_as_they_are(made: Path) -> None:
    for kind, file in (
        ("validate-config", made / ".pre-commit-config.yaml"),
        ("validate-manifest", REPOSITORY / ".pre-commit-hooks.yaml"),
    ):
        ended = run("pre-commit", kind, file, folder=made)
        assert ended.returncode == 0, ended.stdout
