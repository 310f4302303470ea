"""The rules of an environment: how they are written, and how they change the stages there."""

from collections.abc import Callable
from typing import Any

import pytest

from shared.config import Configuration, ConfigurationFaults, Policy, StageSettings
from shared.coordinator.routing import requests
from shared.core.messages import ModelRegistered
from tests.config.right import changed
from tests.core.world import NOW

Configured = Callable[..., Configuration]
PROD = "  prod: {"
OWN = {"approvals": {"min": 2, "roles": ["Prod.Owner"], "taken_by": "environment"}}
BARE: dict[str, Any] = {"environment": "prod", "endpoint": "{model}", "deployment": "d.yml"}


def stage(policy: dict[str, Any], **more: Any) -> StageSettings:
    """A stage in an environment with this policy."""
    return StageSettings.parse(BARE | more).under(Policy.model_validate(policy))


def approval(policy: dict[str, Any], **asked: Any) -> dict[str, Any] | None:
    found: dict[str, Any] | None = stage(policy, approval=asked).frozen().get("approval")
    return found


def test_an_environment_has_no_rules_unless_it_says_so(configured: Configured) -> None:
    assert configured().environments["prod"].policy == Policy()
    assert stage({}) == StageSettings.parse(BARE)


def test_the_rules_are_read_with_the_environment(configured: Configured) -> None:
    text = changed((PROD, f"{PROD}policy: {{approvals: 2, not_author: true, max_instances: 3}}, "))
    policy = configured(text).environments["prod"].policy
    assert policy.approvals is not None
    assert (policy.approvals.least, policy.approvals.taken_by, policy.not_author) == (2, "coordinator", True)
    assert (policy.unknown_author, policy.max_instances, policy.taken_by_environment) == ("refuse", 3, False)


def test_a_stage_that_asks_nobody_asks_as_many_as_the_policy() -> None:
    found = stage({"approvals": 2, "not_author": True}).approval
    assert found is not None
    assert (found.least, found.not_author, found.not_requester) == (2, True, True)


@pytest.mark.parametrize(("asked", "least"), [(1, 2), (2, 2), (3, 3)])
def test_a_stage_may_ask_for_more_and_not_for_fewer(asked: int, least: int) -> None:
    found = approval({"approvals": 2}, min=asked, expires="1h", roles=["Risk"])
    assert found is not None
    assert (found["min"], found["expires"], found["roles"]) == (least, "1h", ["Risk"])


def test_without_approvals_in_the_policy_a_stage_keeps_its_own_and_the_author_out() -> None:
    found = approval({"not_author": True}, min=1)
    assert found is not None
    assert (found["min"], found["not_author"]) == (1, True)
    assert stage({"not_author": True}).approval is None


def test_the_environment_says_who_may_approve_in_its_own_app() -> None:
    found = approval(OWN, min=1, roles=["Anybody"])
    assert found is not None
    assert found["roles"] == ["Prod.Owner"]


def test_a_stage_may_choose_among_the_roles_that_the_policy_names_and_no_others() -> None:
    """Otherwise a route could let those approve who promote."""
    policy = {"approvals": {"min": 1, "roles": ["Prod.Owner", "Prod.Deputy"]}}
    for asked, roles in (
        (["Prod.Deputy", "Promotion.Reader"], ["Prod.Deputy"]),
        (["Promotion.Reader"], ["Prod.Owner", "Prod.Deputy"]),
    ):
        found = approval(policy, roles=asked)
        assert found is not None
        assert found["roles"] == roles


@pytest.mark.parametrize(("taken_by", "waits"), [("coordinator", True), ("environment", False)])
def test_the_environments_worker_asks_where_the_environment_takes_the_approvals(
    configured: Configured, taken_by: str, waits: bool
) -> None:
    text = changed((PROD, f"{PROD}policy: {{approvals: {{min: 1, taken_by: {taken_by}}}}}, "))
    configuration = configured(text)
    news = ModelRegistered(configuration.environments["dev"].workspace.id, "churn-eu", "1", {"promote": "true"}, "x")
    [request] = requests(news, configuration, NOW)
    plans = {each.name: [step.plan for step in each.steps] for each in request.promotion.stages}
    [asking] = [step for step in plans["prod"] if step.name == "approve"]
    assert (asking.waits, asking.environment) == (waits, "prod")
    assert "approve" not in [step.name for step in plans["test"]]


@pytest.mark.parametrize(
    ("policy", "place", "said"),
    [
        ("{approvals: 0}", "approvals.min", "must be 1 or more, not 0"),
        ("{approvals: {taken_by: nobody}}", "approvals.taken_by", "must be 'coordinator' or 'environment'"),
        ("{unknown_author: ignore}", "unknown_author", "must be 'refuse' or 'allow'"),
        ("{max_instances: 0}", "max_instances", "must be 1 or more"),
        ("{approval: 1}", "approval", "unknown key; did you mean approvals?"),
        ("{source_workspace: ws-dev}", "source_workspace", "must be a workspace's ARM id"),
    ],
)
def test_a_wrong_rule_is_named_with_its_place(configured: Configured, policy: str, place: str, said: str) -> None:
    with pytest.raises(ConfigurationFaults) as faults:
        configured(changed((PROD, f"{PROD}policy: {policy}, ")))
    assert f"environments.prod.policy.{place}: {said}" in str(faults.value)
