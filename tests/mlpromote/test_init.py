"""`mlpromote init`: a repository that is right as it is."""

import json
import subprocess
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from mlpromote.exit_codes import ExitCode
from tests.mlpromote.conftest import CommandLine

WORKFLOW = ".github/workflows/promotion.yml"
PIPELINE = "azure-pipelines.yml"


@pytest.fixture
def made(mlpromote: CommandLine, tmp_path: Path) -> Path:
    """The folder in which it was made."""
    assert mlpromote("init", "churn").code == 0
    return tmp_path


def test_it_passes_the_check_as_it_is(made: Path, mlpromote: CommandLine) -> None:
    ended = mlpromote("check")
    assert (ended.code, ended.output) == (0, "churn: churn: dev → test → prod\nno faults\n")


def test_it_names_the_model_everywhere_and_leaves_no_placeholder(made: Path) -> None:
    written = [path for path in made.rglob("*") if path.is_file()]
    assert len(written) == 20
    for path in written:
        assert "@" not in path.name
        assert "@model@" not in path.read_text(encoding="utf-8")
        assert "@version@" not in path.read_text(encoding="utf-8")
    assert (made / "deployments/churn.prod.yml").is_file()


def test_git_checks_out_the_same_bytes_on_every_machine(made: Path) -> None:
    """Line endings count in a bundle's digest."""
    subprocess.run(["git", "init", "--quiet"], cwd=made, check=True)
    asked = ["git", "check-attr", "eol", "scoring/score.py", "promotion.yml", "smoke/churn.jsonl"]
    shown = subprocess.run(asked, cwd=made, capture_output=True, text=True, check=True).stdout
    assert [line.rpartition(" ")[2] for line in shown.splitlines()] == ["lf"] * 3


def test_it_overwrites_nothing(made: Path, mlpromote: CommandLine) -> None:
    (made / "promotion.yml").write_text("mine", encoding="utf-8")
    (made / "deployments" / "churn.prod.yml").unlink()
    ended = mlpromote("init", "churn")
    assert ended.code == ExitCode.REFUSED
    assert "already has .github/workflows/promotion.yml" in ended.errors
    assert (made / "promotion.yml").read_text(encoding="utf-8") == "mine"
    assert not (made / "deployments" / "churn.prod.yml").exists()


@pytest.mark.parametrize("name", ["abc", "a-model-with-a-long-name-ab"])
def test_comments_stand_right_behind_what_they_explain_however_long_the_name_is(
    name: str, mlpromote: CommandLine, tmp_path: Path
) -> None:
    mlpromote("init", name)
    for line in (tmp_path / "promotion.yml").read_text(encoding="utf-8").splitlines():
        before, mark, _ = line.partition(" # ")
        assert not mark or not before.strip() or before == before.rstrip() + " ", line
        assert len(line) <= 120


def test_what_a_repository_often_has_already_is_kept(mlpromote: CommandLine, tmp_path: Path) -> None:
    for name in ("README.md", ".gitignore"):
        (tmp_path / name).write_text("mine", encoding="utf-8")
    ended = mlpromote("init", "churn")
    assert ended.code == 0
    assert "Kept as they were: .gitignore, README.md." in ended.output
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == "mine"
    assert mlpromote("check").code == 0


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path, mlpromote: CommandLine) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    ended = mlpromote("init", "churn", "--folder", "file/below")
    assert ended.code == ExitCode.REFUSED
    assert ended.errors.startswith("mlpromote: Cannot write file/below/")


@pytest.mark.parametrize("name", ["Churn", "c", "-churn", "a" * 28, "churn_model", "../x"])
def test_a_name_that_azure_refuses_is_a_usage_error(name: str, mlpromote: CommandLine, tmp_path: Path) -> None:
    ended = mlpromote("init", "--", name)
    assert ended.code == ExitCode.USAGE
    assert list(tmp_path.iterdir()) == []


def test_editors_find_the_schema_and_it_accepts_what_was_made(made: Path) -> None:
    [(schema, file)] = json.loads((made / ".vscode/settings.json").read_text())["yaml.schemas"].items()
    content = json.loads((made / schema).read_text(encoding="utf-8"))
    jsonschema.validate(yaml.safe_load((made / file).read_text(encoding="utf-8")), content)


def of_vendor(name: str) -> Any:
    """A schema that the services publish."""
    path = files("check_jsonschema") / "builtin_schemas" / "vendor" / f"{name}.json"
    schema = json.loads(path.read_text(encoding="utf-8"))
    return jsonschema.validators.validator_for(schema)(schema)


def loaded(file: Path) -> Any:
    """A workflow. YAML 1.1 takes its key `on` for true."""
    return {("on" if key is True else key): value for key, value in yaml.safe_load(file.read_text()).items()}


def test_the_workflow_of_github_fits_githubs_schema(made: Path) -> None:
    workflow = loaded(made / WORKFLOW)
    assert list(of_vendor("github-workflows").iter_errors(workflow)) == []
    workflow["jobs"]["check"]["runs_on"] = "x"
    assert list(of_vendor("github-workflows").iter_errors(workflow)) != []


def test_the_pipeline_of_azure_fits_its_schema(made: Path) -> None:
    pipeline = loaded(made / PIPELINE)
    assert list(of_vendor("azure-pipelines").iter_errors(pipeline)) == []
    pipeline["stages"][0]["jobs"][0]["stepps"] = []
    assert list(of_vendor("azure-pipelines").iter_errors(pipeline)) != []


def scripts(content: Any) -> Iterator[str]:
    """Every script of a workflow or a pipeline."""
    if isinstance(content, dict):
        for key, value in content.items():
            if key in ("run", "script", "inlineScript"):
                yield value
            else:
                yield from scripts(value)
    elif isinstance(content, list):
        for each in content:
            yield from scripts(each)


@pytest.mark.parametrize(("file", "count"), [(WORKFLOW, 6), (PIPELINE, 7)])
def test_bash_can_read_each_script(file: str, count: int, made: Path) -> None:
    found = list(scripts(loaded(made / file)))
    assert len(found) == count
    for script in found:
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_nothing_that_others_wrote_gets_into_a_script_of_github(made: Path) -> None:
    """`${{ … }}` in a script is replaced before the shell reads it; a title could be a command."""
    assert not any("${{" in script for script in scripts(loaded(made / WORKFLOW)))


def test_only_what_was_merged_is_published_and_with_a_token_of_its_own(made: Path) -> None:
    workflow = loaded(made / WORKFLOW)
    jobs = workflow["jobs"]
    assert workflow["on"]["push"]["branches"] == ["main"]
    assert jobs["publish"]["if"] == "github.event_name == 'push'"
    assert "head.repo.full_name == github.repository" in jobs["diff"]["if"]
    assert workflow["permissions"] == {"contents": "read"}
    assert "id-token" not in jobs["check"].get("permissions", {})
    assert "secrets." not in (made / WORKFLOW).read_text(encoding="utf-8")


def test_the_hook_for_other_repositories_is_one_that_pre_commit_knows(made: Path) -> None:
    [hook] = yaml.safe_load((Path(__file__).parents[2] / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert {"id", "name", "entry", "language"} <= hook.keys()
    own = yaml.safe_load((made / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert own["repos"][0]["hooks"][0]["entry"] == hook["entry"] == "mlpromote check"
