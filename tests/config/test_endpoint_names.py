"""The name of a model's endpoint: always one that Azure accepts, always the same, never that of another model."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.config import azure_names

#: `EndpointConfigurations.NAME_REGEX_PATTERN` and the lengths beside it in azure-ai-ml.
AZURE_ACCEPTS = re.compile(r"[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?")

MODELS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}", fullmatch=True)
TEMPLATES = st.from_regex(r"([A-Za-z][A-Za-z0-9-]{0,21})?\{model\}([A-Za-z0-9-]{0,21}[A-Za-z0-9])?", fullmatch=True)


def is_checked(template: str) -> bool:
    try:
        azure_names.check_endpoint(template)
    except ValueError:
        return False
    return True


@given(TEMPLATES, MODELS)
def test_azure_accepts_every_name_that_a_checked_template_gives(template: str, model: str) -> None:
    assume(is_checked(template))
    name = azure_names.endpoint(template, model)
    assert AZURE_ACCEPTS.fullmatch(name)
    assert 3 <= len(name) <= 32
    assert name == azure_names.endpoint(template, model)


@given(TEMPLATES, MODELS)
def test_what_stands_beside_the_model_stays(template: str, model: str) -> None:
    assume(is_checked(template))
    before, behind = template.split("{model}")
    name = azure_names.endpoint(template, model)
    assert name.startswith(before)
    assert name.endswith(behind)


@given(TEMPLATES, MODELS, MODELS)
def test_two_models_never_meet(template: str, one: str, other: str) -> None:
    assume(is_checked(template) and one != other)
    assert azure_names.endpoint(template, one) != azure_names.endpoint(template, other)


@pytest.mark.parametrize(
    ("template", "model", "name"),
    [
        ("{model}", "churn-eu", "churn-eu"),
        ("{model}-test", "churn-eu", "churn-eu-test"),
        ("churn", "anything", "churn"),
        ("{model}", "churn_eu", "churn-eu-25459a"),
        ("{model}", "churn.eu", "churn-eu-64c0c1"),
        ("{model}", "7b-chat", "m-7b-chat-e14c5e"),
        ("x-{model}", "7b-chat", "x-7b-chat"),
        ("{model}", "ab", "ab-fb8e20"),
        ("{model}-test", "a-model-whose-name-goes-on-and-on", "a-model-whose-name-g-2d310e-test"),
        ("{model}", "___", "m-bda251"),
    ],
)
def test_a_model_name_that_cannot_stand_is_cleaned_cut_and_marked(template: str, model: str, name: str) -> None:
    assert azure_names.endpoint(template, model) == name


@pytest.mark.parametrize("template", ["{model}", "a{model}", "{model}-" + "b" * 19, "abc", "a" * 32, "A-1"])
def test_a_template_that_is_accepted(template: str) -> None:
    assert azure_names.check_endpoint(template) == template
