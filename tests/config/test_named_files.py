"""Every file that a configuration names is read, and every file that those name."""

from collections.abc import Callable
from pathlib import Path

import pytest

from shared.config import Configuration, named_files
from tests.config.right import RIGHT, changed

DEPLOYMENT = """
code_configuration: {code: ../scoring, scoring_script: score.py}
environment: {image: some-image, conda_file: ../environment/conda.yml}
"""
FILES = {
    "deployments/churn.yml": DEPLOYMENT,
    "scoring/score.py": "def run(data): ...",
    "environment/conda.yml": "dependencies: [python=3.11]",
    "smoke/churn.jsonl": '{"request": 1}',
}
BUILD = "environment: {build: {path: ../context}}"
NAMED = "deployments/churn.yml"

Faults = Callable[..., list[str]]


@pytest.fixture
def faults(tmp_path: Path, configured: Callable[[str], Configuration]) -> Faults:
    """The faults of the valid configuration with these contents of its files; None for a file that is missing."""

    def found(contents: dict[str, str | bytes | None], text: str = RIGHT) -> list[str]:
        for name, content in {**FILES, **contents}.items():
            file = tmp_path / name
            file.parent.mkdir(exist_ok=True, parents=True)
            if content is not None:
                file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return [str(fault) for fault in named_files.faults(configured(text), tmp_path)]

    return found


def test_files_that_are_right_have_no_fault(faults: Faults) -> None:
    assert faults({}) == []


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        (NAMED, None, "there is no file deployments/churn.yml"),
        (NAMED, "a: [", "deployments/churn.yml cannot be read"),
        (NAMED, b"\xff\xfe", "deployments/churn.yml cannot be read"),
        (NAMED, "- a list", "deployments/churn.yml is no YAML mapping"),
        (NAMED, "", "deployments/churn.yml is no YAML mapping"),
        (NAMED, "code_configuration: {code: nowhere, scoring_script: s.py}", "there is no folder nowhere"),
        (NAMED, "code_configuration: {code: ../scoring, scoring_script: s.py}", "there is no ../scoring/s.py"),
        (NAMED, "code_configuration: {code: ../scoring}", "code_configuration needs a scoring_script"),
        (NAMED, "code_configuration: {scoring_script: s.py}", "code_configuration needs code"),
        (NAMED, "code_configuration: score.py", "code_configuration needs code"),
        (NAMED, "environment: {conda_file: nowhere.yml}", "conda_file: there is no file nowhere.yml"),
        (NAMED, BUILD, "there is no folder ../context, which it names as build.path"),
        (NAMED, BUILD.replace("context", "scoring"), "there is no Dockerfile in ../scoring"),
        ("scoring/score.py", "", "../scoring/score.py is empty"),
        ("scoring/score.py", b"\xff", "../scoring/score.py cannot be read"),
        ("environment/conda.yml", "a: [", "conda_file: ../environment/conda.yml cannot be read"),
        ("environment/conda.yml", "name: x", "../environment/conda.yml has no list of dependencies"),
        ("smoke/churn.jsonl", None, "The file of smoke requests"),
        ("smoke/churn.jsonl", "{", "churn.jsonl, line 1 is not JSON"),
        ("smoke/churn.jsonl", "", "There are no smoke requests in churn.jsonl"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_once_with_the_place_that_names_it(
    faults: Faults, file: str, content: str | bytes | None, said: str
) -> None:
    found = faults({file: content})
    place = "smoke.requests" if file.startswith("smoke") else "deployment"
    assert any(each.startswith(f"routes.churn.stages[0].{place}: ") and said in each for each in found), found
    assert sum(said in each for each in found) == 1


@pytest.mark.parametrize(
    "content",
    [
        "code_configuration: {code: 'azureml:code:1', scoring_script: score.py}",
        "environment: azureml:sklearn:1",
        "environment: {conda_file: 'https://host/conda.yml'}",
        "environment: {build: {path: 'git+https://host/repository'}}",
        "instance_count: 1",
    ],
)
def test_what_is_elsewhere_is_not_looked_for(faults: Faults, content: str) -> None:
    assert faults({NAMED: content}) == []


def test_all_is_reported_at_once(faults: Faults) -> None:
    gone = "code_configuration: {code: nowhere, scoring_script: s.py}\nenvironment: {conda_file: nowhere.yml}"
    assert len(faults({NAMED: gone, "smoke/churn.jsonl": None})) == 3


WITH_ENDPOINT = changed(
    (
        "        deployment: deployments/churn.yml\n",
        "        deployment: deployments/churn.yml\n        endpoint_file: e.yml\n",
    )
)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, ["there is no file e.yml"]),
        ("- a list", ["e.yml is no YAML mapping"]),
        ("auth_mode: aad_token", []),
    ],
)
def test_the_file_of_an_endpoint_is_read(faults: Faults, content: str | None, said: list[str]) -> None:
    found = faults({"e.yml": content}, WITH_ENDPOINT)
    assert found == [f"routes.churn.stages[0].endpoint_file: {sentence}" for sentence in said]


def monitored(*changes: tuple[str, str]) -> str:
    """The valid configuration where the stage test has a monitor."""
    line = "        deployment: deployments/churn.yml\n"
    return changed((line, f"{line}        monitor: m.yml\n"), *changes)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no file m.yml"),
        ("- a list", "m.yml is no YAML mapping"),
        ("create_monitor: {}", "m.yml: needs a name, that of the monitor in the workspace"),
        (
            "name: drift",
            "m.yml: several models of this route would share the monitor 'drift': add {model} to its name",
        ),
    ],
)
def test_the_file_of_a_monitor_is_read_and_each_model_must_have_one_of_its_own(
    faults: Faults, content: str | None, said: str
) -> None:
    assert faults({"m.yml": content}, monitored()) == [f"routes.churn.stages[0].monitor: {said}"]


def test_a_monitor_of_one_model_may_have_any_name_and_one_of_several_has_the_models(faults: Faults) -> None:
    one_model = monitored(("churn-*", "churn-eu"))
    assert faults({"m.yml": "name: drift"}, one_model) == []
    assert faults({"m.yml": "name: '{model}-drift'"}, monitored()) == []


def test_two_stages_in_one_workspace_may_not_share_a_monitor(faults: Faults) -> None:
    line = '        endpoint: "{model}"\n'
    both = monitored((line, f"{line}        monitor: m.yml\n"))
    drift = {"m.yml": "name: '{model}-drift'"}
    assert faults(drift, both) == [], "their workspaces differ"
    [found] = faults(drift, both.replace("${PROD}", "${TEST}"))
    assert found == (
        "routes.churn.stages[1].monitor: m.yml names the monitor '{model}-drift', which may be that of "
        "routes.churn.stages[0].monitor in the same workspace: give each stage a monitor of its own"
    )
