"""The file itself: YAML read strictly, and settings put in."""

from collections.abc import Callable
from pathlib import Path

import pytest

from shared.config import Configuration, ConfigurationFaults, load
from tests.config.right import RIGHT, SETTINGS, changed

FaultsOf = Callable[..., list[str]]
Configured = Callable[..., Configuration]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "(top): must be a mapping of keys to values, not empty"),
        ("# nothing\n", "(top): must be a mapping of keys to values, not empty"),
        ("null", "(top): must be a mapping of keys to values, not empty"),
        ("- a\n", "(top): must be a mapping of keys to values, not a list"),
        ("registry: &a [*a]", "line 1, column 11: invalid YAML: a value contains itself"),
        ("registry: " + 101 * "[" + 101 * "]", "line 1, column 111: invalid YAML: too deeply nested"),

        ("registry: 2026-13-01", "(top): invalid YAML: month must be in 1..12"),
        ("registry: x\n\t- y", "line 2, column 1: invalid YAML: found a tab character that violates indentation"),
        ("registry: \x07", "(top): invalid YAML: unacceptable character #x0007: control characters are not allowed "
         'in "<unicode string>", position 10'),
        ("registry: !!python/name:os.sep",
         "line 1, column 11: invalid YAML: the tag !!python/name:os.sep is not supported"),
        ("registry: !!binary aGk=", "line 1, column 11: invalid YAML: the tag !!binary is not supported"),
        ("- !!set {a, b}", "line 1, column 3: invalid YAML: the tag !!set is not supported"),
        ("- !mine x", "line 1, column 3: invalid YAML: the tag !mine is not supported"),
        ("registry: a\n---\nregistry: b", "line 2, column 1: invalid YAML: but found another document"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_configuration_at_all(text: str, fault: str, faults_of: FaultsOf) -> None:
    assert faults_of(text) == [fault]


def test_a_file_that_is_missing_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationFaults, match=r"\(top\): cannot be read: No such file or directory"):
        load(tmp_path / "promotion.yml", {})
    (tmp_path / "promotion.yml").write_bytes(b"registry: \xff\xfe")
    with pytest.raises(ConfigurationFaults, match=r"\(top\): is not UTF-8 text"):
        load(tmp_path / "promotion.yml", {})


def test_keys_that_are_there_twice_are_all_told_with_their_lines(faults_of: FaultsOf) -> None:
    text = changed(
        ("registry: contoso-ml", "registry: contoso-ml\nregistry: other-ml"),
        ("    from: dev", "    from: dev\n    from: test"),
        ("        endpoint: ", "        endpoint: first\n        endpoint: "),
    )
    assert faults_of(text) == [
        "registry: duplicate key: line 1 and line 2",
        "routes.churn.from: duplicate key: line 9 and line 10",
        "routes.churn.stages[0].endpoint: duplicate key: line 16 and line 17",
    ]


def test_a_key_that_is_there_twice_behind_an_anchor_is_told_once(faults_of: FaultsOf) -> None:
    text = changed(
        ("smoke: {", "smoke: &smoke {max_latency: 1s, "),
        ('        endpoint: "{model}"\n', '        endpoint: "{model}"\n        smoke: *smoke\n'),
    )
    assert faults_of(text) == ["routes.churn.stages[0].smoke.max_latency: duplicate key: line 18 and line 18"]


def test_a_key_that_looks_like_a_truth_value_is_text(configured: Configured) -> None:
    configuration = configured(changed(("  dev:", "  on:"), ("from: dev", 'from: "on"')))
    assert list(configuration.environments) == ["on", "test", "prod"]


def test_anchors_and_merge_keys_are_understood(configured: Configured) -> None:
    text = changed(
        ("smoke: {", "smoke: &smoke {"),
        (
            '        endpoint: "{model}"\n',
            '        endpoint: "{model}"\n        smoke: {<<: *smoke, max_latency: 1s}\n',
        ),
    )
    first, second = configured(text).model_routes[0].stages
    assert first.smoke
    assert second.smoke
    assert (second.smoke.requests, str(second.smoke.max_latency)) == (first.smoke.requests, "0:00:01")


def test_settings_are_put_into_texts_anywhere(configured: Configured) -> None:
    text = changed(
        ("contoso-ml", "${COMPANY}-ml"), ("0.82", '"${LOWEST}"'), ("churn-training", '"$${a} ${COMPANY}${COMPANY}"')
    )
    configuration = configured(text, SETTINGS | {"COMPANY": "fabrikam", "LOWEST": "0.7"})
    assert configuration.registry == "fabrikam-ml"
    assert configuration.model_routes[0].stages[0].gates[0].at_least == 0.7
    assert configuration.model_routes[0].from_jobs[0].experiment == "${a} fabrikamfabrikam"


def test_what_a_setting_holds_is_not_replaced_again(configured: Configured) -> None:
    configuration = configured(changed(('"true"', '"${A}"')), SETTINGS | {"A": "${B}", "B": "wrong"})
    assert configuration.model_routes[0].require_tags == {"promote": "${B}"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("${PRD}", "the setting PRD is missing; add it to the app's settings"),
        ("${}", "${} is not a valid ${NAME}; write $${ for a literal ${"),
        ("${a b}", "${a b} is not a valid ${NAME}; write $${ for a literal ${"),
        ("${PROD", "${PROD is not a valid ${NAME}; write $${ for a literal ${"),
    ],
)
def test_a_setting_that_cannot_be_put_in_is_one_fault_at_its_place(text: str, fault: str, faults_of: FaultsOf) -> None:
    assert faults_of(changed(("${PROD}", text))) == [f"environments.prod.workspace: {fault}"]


def test_every_missing_setting_is_reported(faults_of: FaultsOf) -> None:
    missing = [f"environments.{name}.workspace: the setting {name.upper()} is missing; add it to the app's settings"
               for name in ("dev", "test", "prod")]  # fmt: skip
    assert faults_of(RIGHT, {}) == missing
