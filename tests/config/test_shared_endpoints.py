"""No two stages may deploy to one endpoint: the later would take the traffic of the earlier."""

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.config import patterns
from tests.config.right import RIGHT, changed

FaultsOf = Callable[..., list[str]]

OTHER_ROUTE = """\
  other:
    from: test
    models: [MODELS]
    stages:
      - environment: prod
        endpoint: ENDPOINT
        deployment: deployments/other.yml
"""


def with_other_route(models: str, endpoint: str) -> str:
    """The right configuration, whose route takes churn-* to {model} in prod, and a second route."""
    return RIGHT + OTHER_ROUTE.replace("MODELS", models).replace("ENDPOINT", endpoint)


def meets(endpoint: str, first: str = "routes.churn.stages[1]") -> str:
    return (
        f"routes.other.stages[0].endpoint: {endpoint!r} is in the same workspace as {first}.endpoint "
        "and may be the same endpoint"
    )


@pytest.mark.parametrize(
    ("models", "endpoint"),
    [
        ('"churn-*"', "{model}"),
        ('"*-eu"', "{model}"),
        ('"CHURN-*"', "{model}"),
        ("fraud, churn-us", "{model}"),
        ('"[bc]hurn-eu"', "{model}"),
        ("fraud", "churn-eu"),
        ("fraud", "CHURN-eu"),
    ],
)
def test_two_routes_on_one_endpoint(models: str, endpoint: str, faults_of: FaultsOf) -> None:
    assert faults_of(with_other_route(models, f'"{endpoint}"')) == [meets(endpoint)]


@pytest.mark.parametrize(
    ("models", "endpoint"),
    [
        ('"fraud-*"', "{model}"),
        ('"churn-*"', "{model}-other"),
        ("fraud", "fraud-eu"),
        ("churn-eu", "the-churn-eu"),
    ],
)
def test_two_routes_on_different_endpoints(models: str, endpoint: str, configured: Callable[..., object]) -> None:
    configured(with_other_route(models, f'"{endpoint}"'))


def test_a_fixed_endpoint_is_found_behind_the_template_that_can_give_it(faults_of: FaultsOf) -> None:
    text = with_other_route("fraud", "churn-eu-test").replace(
        "prod\n        endpoint: churn", "test\n        endpoint: churn"
    )
    assert faults_of(text) == [meets("churn-eu-test", "routes.churn.stages[0]")]


def test_the_casing_of_models_does_not_hide_that_endpoints_meet(faults_of: FaultsOf) -> None:
    text = (
        with_other_route("fraud", "churn-eu").replace('"churn-*"', '"CHURN-*"').replace("model: churn", "model: CHURN")
    )
    assert faults_of(text) == [meets("churn-eu")]


def test_environments_in_one_workspace_share_its_endpoints(faults_of: FaultsOf) -> None:
    text = changed(('workspace: "${PROD}"', 'workspace: "${TEST}/"'), ('"{model}-test"', '"{model}"'))
    assert faults_of(text) == [
        "routes.churn.stages[1].endpoint: '{model}' is in the same workspace as routes.churn.stages[0].endpoint "
        "and may be the same endpoint"
    ]


def test_the_same_endpoint_in_two_workspaces_is_no_fault(configured: Callable[..., object]) -> None:
    configured(changed(('"{model}-test"', '"{model}"')))


@pytest.mark.parametrize("models", ['"churn-*"', "churn-eu, churn-us", '"churn-[eu]"', '"churn-?"'])
def test_a_fixed_endpoint_for_several_models(models: str, faults_of: FaultsOf) -> None:
    text = changed(('"churn-*"', models), ('"{model}"', "churn"), ("churn-eu}", "churn-e}"))
    text = text.replace("    from_jobs: {experiment: churn-training, output: model, model: churn-e}\n", "")
    assert faults_of(text) == [
        "routes.churn.stages[1].endpoint: several models of this route would share this endpoint: "
        "add {model} to its name"
    ]


@pytest.mark.parametrize("models", ["churn-eu", "churn-eu, churn-eu"])
def test_a_fixed_endpoint_for_one_model_is_no_fault(models: str, configured: Callable[..., object]) -> None:
    configured(changed(('"churn-*"', models), ('"{model}"', "churn")))


#: Two patterns of three signs that meet at all meet in a name of at most six letters.
NAMES = ["".join(letters) for length in range(7) for letters in itertools.product("ab", repeat=length)]
PATTERNS = st.text("ab*?", max_size=3)


@given(PATTERNS, PATTERNS)
def test_patterns_overlap_exactly_when_some_name_matches_both(one: str, other: str) -> None:
    met = any(patterns.matches([one], name) and patterns.matches([other], name) for name in NAMES)
    assert patterns.overlap([one], [other]) == met
