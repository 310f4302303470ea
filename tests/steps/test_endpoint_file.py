from collections.abc import Callable
from dataclasses import replace

import pytest

from shared.core.messages import Failed, FailureKind, Succeeded
from shared.ports import EndpointSettings
from tests.fakes.workspace import FakeWorkspace
from tests.steps.promotion import ENDPOINT, OURS, Stage, failed

FILE = """\
auth_mode: aad_token
public_network_access: disabled
tags: {team: churn}
properties: {enforce: "true"}
identity: {type: user_assigned, user_assigned_identities: [{resource_id: /subscriptions/S/identities/churn}]}
"""
IDENTITY = "/subscriptions/s/identities/churn"
SETTINGS = EndpointSettings("aad_token", (IDENTITY,), "disabled", "", {"team": "churn", **OURS}, {"enforce": "true"})


@pytest.fixture
def with_file(stage: Stage) -> Stage:
    (stage.folder / "endpoint.yml").write_text(FILE)
    return stage.with_settings(endpoint_file="endpoint.yml")


def has_endpoint(workspace: FakeWorkspace, **settings: object) -> None:
    made = workspace.has_endpoint(ENDPOINT, OURS, {"v2-old": 100})
    workspace.has_deployment(ENDPOINT, "v2-old", OURS)
    workspace.endpoints[ENDPOINT] = replace(made, settings=replace(SETTINGS, **settings))  # type: ignore[arg-type]


def test_a_new_endpoint_is_made_as_its_file_says(with_file: Stage, workspace: FakeWorkspace) -> None:
    assert isinstance(with_file.validated(workspace).run("deploy", workspace), Succeeded)
    made = workspace.endpoints[ENDPOINT]
    assert made.settings == SETTINGS
    assert made.tags == {"team": "churn", **OURS}
    assert workspace.calls["start_endpoint_change"] == 0


def test_an_endpoint_that_has_the_settings_is_left_alone(with_file: Stage, workspace: FakeWorkspace) -> None:
    has_endpoint(workspace)
    validated = with_file.validated(workspace)
    assert validated.evidence["validate"]["endpoint_changes"] == {}
    assert isinstance(validated.run("deploy", workspace), Succeeded)
    assert workspace.calls["start_endpoint_change"] == 0


def test_what_will_change_of_the_endpoint_is_shown_first_and_changed_before_the_deployment(
    with_file: Stage, workspace: FakeWorkspace
) -> None:
    has_endpoint(workspace, auth_mode="key", public_network_access="enabled", tags={"team": "fraud", **OURS})
    workspace.polls_until_ready = 2
    validated = with_file.validated(workspace)
    assert validated.evidence["validate"]["endpoint_changes"] == {
        "auth_mode": "key → aad_token",
        "public_network_access": "enabled → disabled",
        "tag team": "fraud → churn",
    }
    assert isinstance(validated.run("deploy", workspace), Succeeded)
    assert workspace.endpoints[ENDPOINT].settings == SETTINGS
    assert workspace.traffic(ENDPOINT)["v2-old"] == 100
    assert workspace.calls["start_endpoint_change"] == 1


def test_what_the_file_does_not_name_stays_as_it_is(with_file: Stage, workspace: FakeWorkspace) -> None:
    (with_file.folder / "endpoint.yml").write_text("tags: {team: churn}\n")
    has_endpoint(workspace, description="made by hand")
    assert isinstance(with_file.validated(workspace).run("deploy", workspace), Succeeded)
    assert workspace.calls["start_endpoint_change"] == 0


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"identities": ()}, f"identity: its own → {IDENTITY}"),
        ({"properties": {"enforce": "false"}}, "property enforce: false → true"),
    ],
)
def test_what_azure_cannot_change_is_a_failure_before_anything_is_spent(
    with_file: Stage, workspace: FakeWorkspace, settings: dict[str, object], told: str
) -> None:
    has_endpoint(workspace, **settings)
    outcome = with_file.poll("validate", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.CONFLICT
    assert told in outcome.reason
    assert "choose another `endpoint`" in outcome.reason


def test_a_change_that_azure_ignores_is_a_failure_and_not_tried_for_ever(
    with_file: Stage, workspace: FakeWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_endpoint(workspace, public_network_access="enabled")
    validated = with_file.validated(workspace)
    start: Callable[..., None] = workspace.start_endpoint_change

    def ignored(*arguments: object) -> None:
        before = workspace.endpoints[ENDPOINT]
        start(*arguments)
        workspace.endpoints[ENDPOINT] = before

    monkeypatch.setattr(workspace, "start_endpoint_change", ignored)
    outcome = validated.run("deploy", workspace)
    assert isinstance(outcome, Failed)
    assert "did not change them: public_network_access: enabled → disabled" in outcome.reason
    assert not [key for key in workspace.made if key[1] != "v2-old"]


def test_an_endpoint_file_that_changed_after_validation_stops_the_deployment(
    with_file: Stage, workspace: FakeWorkspace
) -> None:
    validated = with_file.validated(workspace)
    assert "endpoint.yml" in validated.evidence["validate"]["manifest"]["files"]
    (with_file.folder / "endpoint.yml").write_text(FILE.replace("disabled", "enabled"))
    outcome = validated.run("deploy", workspace)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.CHANGED
    assert "endpoint.yml" in outcome.reason
    assert not workspace.endpoints


@pytest.mark.parametrize("content", [None, "", "- a list", "traffic: {v1: 100}", "auth_mode: open"])
def test_a_file_that_cannot_be_used_is_a_fault_of_the_configuration(
    with_file: Stage, workspace: FakeWorkspace, content: str | None
) -> None:
    with_file.put("endpoint.yml", content)
    failed(with_file.poll("validate", workspace), FailureKind.BAD_CONFIG)
