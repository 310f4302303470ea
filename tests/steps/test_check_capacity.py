import re
from dataclasses import replace

import pytest

from shared.core.messages import Failed, FailureKind, Retry, Succeeded
from shared.ports import ForbiddenError, MachineSize, Quota, UnavailableError
from shared.worker import capacity
from shared.worker.order import Rules
from tests.fakes.workspace import FakeWorkspace
from tests.steps.promotion import ENDPOINT, OURS, Stage, champion, deploy_saw

FAMILY = "Standard DSv2 Family Cluster Dedicated vCPUs"


def quota(limit: int, used: int = 0, name: str = FAMILY) -> Quota:
    return Quota(name, limit, used)


@pytest.fixture
def stage(stage: Stage) -> Stage:
    """With a deployment of three instances: four with the spare, of four cores each."""
    (stage.folder / "deployment.yml").write_text("instance_type: Standard_DS3_v2\ninstance_count: 3\n")
    return stage


def serves(workspace: FakeWorkspace, name: str = "v2-old", instances: int = 2) -> None:
    workspace.has_endpoint(ENDPOINT, OURS, {"v2-old": 100})
    made = workspace.has_deployment(ENDPOINT, name, OURS)
    workspace.made[ENDPOINT, name] = replace(made, instance_type="Standard_DS2_v2", instances=instances)


def test_the_evidence_says_what_the_deployment_takes_and_what_is_left(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.limits = [quota(100, 60)]
    outcome = stage.poll("check_capacity", workspace)
    assert isinstance(outcome, Succeeded)
    assert outcome.evidence == {
        "size": "Standard_DS3_v2",
        "instances": 3,
        "cores": 16,
        "beside": [],
        "cores_together": 16,
        "quota": FAMILY,
        "left": 40,
        "removed_first": [],
        "unknown": "",
        "currency": "",
    }
    assert outcome.says == "takes 3 × Standard_DS3_v2; 16 cores of the quota, 40 are left"
    assert not [call for call in workspace.calls if call.startswith("start_")]


def test_the_deployment_that_serves_meanwhile_is_counted_with_it(stage: Stage, workspace: FakeWorkspace) -> None:
    serves(workspace)
    outcome = stage.poll("check_capacity", workspace)
    assert isinstance(outcome, Succeeded)
    beside = {"name": "v2-old", "size": "Standard_DS2_v2", "instances": 2, "cores": 6}
    assert (outcome.evidence["beside"], outcome.evidence["cores_together"]) == ([beside], 22)


@pytest.mark.parametrize(("used", "fits"), [(84, True), (85, False), (100, False), (120, False)])
def test_too_little_quota_is_a_failure_before_anything_is_made(
    stage: Stage, workspace: FakeWorkspace, used: int, fits: bool
) -> None:
    serves(workspace)
    workspace.limits = [quota(100, used)]
    outcome = stage.poll("check_capacity", workspace)
    assert isinstance(outcome, Succeeded if fits else Failed)
    if isinstance(outcome, Failed):
        assert outcome.kind is FailureKind.QUOTA
        assert re.search(
            rf"needs 16 cores .*3 × Standard_DS3_v2.* {max(0, 100 - used)} are left while v2-old stays", outcome.reason
        )
        assert outcome.evidence["cores"] == 16


def test_the_quota_of_all_families_counts_where_less_is_left_of_it(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.limits = [quota(100), quota(200, 190, "Total Cluster Dedicated Regional vCPUs")]
    outcome = stage.poll("check_capacity", workspace)
    assert isinstance(outcome, Failed)
    assert "'Total Cluster Dedicated Regional vCPUs'" in outcome.reason


def test_what_an_earlier_attempt_left_makes_room_for_the_next(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.has_endpoint(ENDPOINT, OURS)
    made = workspace.has_deployment(ENDPOINT, stage.deployment, stage.its_tags, "Failed")
    workspace.made[ENDPOINT, stage.deployment] = replace(made, instance_type="Standard_DS3_v2", instances=3)
    workspace.limits = [quota(20, 16)]
    outcome = stage.poll("check_capacity", workspace)
    assert isinstance(outcome, Succeeded)
    assert outcome.evidence["beside"] == []


def keeping(stage: Stage, workspace: FakeWorkspace, size: str = "Standard_DS3_v2") -> Stage:
    """The stage, with version 1 kept beside version 2, which serves: each of three instances."""
    for name in ("v1-kept", "v2-old"):
        workspace.has_endpoint(ENDPOINT, OURS, {"v2-old": 100})
        tags = {**OURS, "mlpromote.stage": "test", "mlpromote.model": "digits"}
        made = workspace.has_deployment(ENDPOINT, name, tags)
        instance_type = size if name == "v1-kept" else "Standard_DS3_v2"
        workspace.made[ENDPOINT, name] = replace(made, instance_type=instance_type, instances=3)
    return stage.with_(champion=champion(deploy=deploy_saw("v2-old"))).with_settings(rollout={"keep": "1h"})


def test_what_an_earlier_promotion_keeps_is_removed_first_and_makes_room(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    stage = keeping(stage, workspace)
    workspace.limits = [quota(32, 32)]
    outcome = stage.poll("check_capacity", workspace)
    assert isinstance(outcome, Succeeded)
    assert (outcome.evidence["left"], outcome.evidence["removed_first"]) == (16, ["v1-kept"])
    assert [each["name"] for each in outcome.evidence["beside"]] == ["v2-old"], "version 1 is gone while both run"
    assert outcome.evidence["cores_together"] == 32
    assert outcome.says == "takes 3 × Standard_DS3_v2; 16 cores of the quota, 16 are left once v1-kept is removed"
    workspace.limits = [quota(31, 32)]
    outcome = stage.poll("check_capacity", workspace)
    assert isinstance(outcome, Failed)
    assert "and 15 are left once v1-kept is removed while v2-old stays" in outcome.reason


def test_what_is_kept_makes_no_room_in_the_quota_of_another_family(stage: Stage, workspace: FakeWorkspace) -> None:
    workspace.sizes.append(MachineSize("Standard_E4s_v3", "standardESv3Family", 4))
    stage = keeping(stage, workspace, "Standard_E4s_v3")
    workspace.limits = [quota(31, 16), quota(100, 16, "Standard ESv3 Family Cluster Dedicated vCPUs")]
    assert isinstance(stage.poll("check_capacity", workspace), Failed)
    workspace.limits = [quota(100, 16), quota(47, 32, "Total Cluster Dedicated Regional vCPUs")]
    assert isinstance(stage.poll("check_capacity", workspace), Succeeded), "but in that of all families"


def test_what_stays_without_keep_makes_no_room(stage: Stage, workspace: FakeWorkspace) -> None:
    stage = keeping(stage, workspace).with_settings(rollout=None)
    workspace.limits = [quota(32, 32)]
    assert isinstance(stage.poll("check_capacity", workspace), Failed)


@pytest.mark.parametrize("method", ["machine_size", "quotas"])
def test_without_the_right_to_read_it_the_quota_is_unknown_and_nothing_is_refused(
    stage: Stage, workspace: FakeWorkspace, method: str
) -> None:
    workspace.raises[method] = ForbiddenError("no right to read it")
    outcome = stage.poll("check_capacity", workspace)
    assert isinstance(outcome, Succeeded)
    assert outcome.evidence["unknown"] == "no right to read it"
    assert "left" not in outcome.evidence
    assert outcome.says.startswith("takes 3 × Standard_DS3_v2")
    assert outcome.says.endswith("the quota that is left is unknown")


@pytest.mark.parametrize(
    ("limits", "sizes"),
    [([], None), ([quota(100, name="Standard ESv3 Family Cluster Dedicated vCPUs")], None), (None, [])],
)
def test_what_azure_does_not_report_is_unknown(
    stage: Stage, workspace: FakeWorkspace, limits: list[Quota] | None, sizes: list[MachineSize] | None
) -> None:
    workspace.limits = limits if limits is not None else workspace.limits
    workspace.sizes = sizes if sizes is not None else workspace.sizes
    outcome = stage.poll("check_capacity", workspace)
    assert isinstance(outcome, Succeeded)
    assert outcome.evidence["unknown"]
    assert "left" not in outcome.evidence


def test_figures_that_cannot_be_read_for_a_while_are_tried_again_and_then_unknown(
    stage: Stage, workspace: FakeWorkspace
) -> None:
    workspace.raises["quotas"] = UnavailableError("busy")
    assert isinstance(stage.poll("check_capacity", workspace), Retry)
    workspace.raises["quotas"] = UnavailableError("busy")
    outcome = stage.poll("check_capacity", workspace, poll=4)
    assert isinstance(outcome, Succeeded)
    assert outcome.evidence["unknown"] == "busy"


def test_a_file_that_names_no_size_is_not_refused(stage: Stage, workspace: FakeWorkspace) -> None:
    (stage.folder / "deployment.yml").write_text("environment: azureml:sklearn:1\n")
    outcome = stage.poll("check_capacity", workspace)
    assert isinstance(outcome, Succeeded)
    assert outcome.evidence["unknown"]


def test_with_prices_people_see_the_cost_of_one_and_of_both(stage: Stage, workspace: FakeWorkspace) -> None:
    serves(workspace)
    rules = Rules(prices={"standard_ds3_v2": 0.25, "Standard_DS2_v2": 0.1}, currency="EUR")
    outcome = stage.with_(rules=rules).poll("check_capacity", workspace)
    assert isinstance(outcome, Succeeded)
    seen = outcome.evidence
    assert (seen["cost"], seen["cost_together"], seen["currency"]) == (0.75, 0.95, "EUR")
    assert outcome.says.endswith("0.75 EUR an hour, 0.95 while both run")


def test_the_cost_of_both_is_unknown_where_one_has_no_price(stage: Stage, workspace: FakeWorkspace) -> None:
    serves(workspace)
    outcome = stage.with_(rules=Rules(prices={"Standard_DS3_v2": 0.25}, currency="EUR")).poll(
        "check_capacity", workspace
    )
    assert isinstance(outcome, Succeeded)
    assert outcome.evidence["cost"] == 0.75
    assert "cost_together" not in outcome.evidence


@pytest.mark.parametrize(
    ("size", "cores", "instances", "needed"),
    [
        ("Standard_DS3_v2", 4, 1, 8),
        ("Standard_DS3_v2", 4, 5, 24),
        ("Standard_DS3_v2", 4, 10, 48),
        ("STANDARD_NC24ADS_A100_V4", 24, 3, 72),
    ],
)
def test_a_fifth_more_instances_count_except_for_the_sizes_that_azure_exempts(
    size: str, cores: int, instances: int, needed: int
) -> None:
    assert capacity.cores(MachineSize(size, "f", cores), instances) == needed


@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("standardDSv2Family", FAMILY),
        ("standard NCASv3_T4 Family", "Standard NCASv3_T4 Family Cluster Dedicated vCPUs"),
        ("standardESv3Family", "standardESv3Family"),
    ],
)
def test_the_quota_of_a_family_is_found_however_azure_spells_it(family: str, name: str) -> None:
    others = [
        quota(7, name="Standard DSv2 Promo Family Cluster Dedicated vCPUs"),
        quota(9, name="Total Regional vCPUs"),
    ]
    found = capacity.quota_of(MachineSize("s", family, 4), [*others, quota(5, name=name)])
    assert found == quota(5, name=name)
    assert capacity.quota_of(MachineSize("s", "", 4), others) is None


def test_of_two_quotas_with_the_same_left_the_family_s_is_named() -> None:
    every = quota(5, name="Total Cluster Dedicated Regional vCPUs")
    assert capacity.quota_of(MachineSize("s", "standardDSv2Family", 4), [every, quota(5)]) == quota(5)
