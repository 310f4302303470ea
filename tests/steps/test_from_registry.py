"""A model that somebody registered in the registry: nothing is copied, and its job is traced where it can be."""

from dataclasses import replace
from typing import Any

import pytest

from shared.config.policy import Policy
from shared.core.approval import Author
from shared.core.messages import Failed, FailureKind, Running, Succeeded
from shared.core.wire import from_json
from shared.ports import ForbiddenError, Job
from shared.worker.order import Rules
from shared.worker.steps.share import Shared
from tests.fakes.workspace import FakeWorkspace
from tests.steps.promotion import ENDPOINT, Stage

REGISTRY = "azureml://registries/reg"
MODEL = f"{REGISTRY}/models/digits/versions/3"
GATE = {"metric": "accuracy", "at_least": 0.8}


@pytest.fixture
def dev() -> FakeWorkspace:
    """Where the job ran; the worker of the first stage may read it."""
    fake = FakeWorkspace(name="ws-dev")
    fake.jobs["train-3"] = Job("train-3", "Completed", "e")
    fake.job_metrics["train-3"] = {"accuracy": 0.9}
    fake.made_by["digits", "3"] = [Author("id-of-dora", "dora", is_person=True)]
    return fake


@pytest.fixture
def test(workspace: FakeWorkspace) -> FakeWorkspace:
    """The first stage's workspace, with a model in its registry that is no copy."""
    workspace.has_copy("digits", "3", None, {"promote": "true"}, job="train-3")
    return workspace


@pytest.fixture
def first(stage: Stage, dev: FakeWorkspace) -> Stage:
    return stage.with_(source=REGISTRY, rules=Rules(source=dev), options={"copies": False}, evidence={})


def shared(first: Stage, test: FakeWorkspace) -> Shared:
    outcome = first.run("share", test)
    assert isinstance(outcome, Succeeded), outcome
    return from_json(Shared, outcome.evidence)


def after(first: Stage, test: FakeWorkspace) -> Stage:
    outcome = first.run("share", test)
    assert isinstance(outcome, Succeeded), outcome
    return first.with_(evidence={"share": outcome.evidence}, options={})


def test_its_job_is_traced_in_the_source_workspace_and_nothing_is_copied(first: Stage, test: FakeWorkspace) -> None:
    found = shared(first, test)
    assert (found.registry_model, found.origin, found.tags) == (MODEL, MODEL, {"promote": "true"})
    assert (found.metrics, found.job_not_found) == ({"accuracy": 0.9}, None)
    assert found.job
    assert found.job.name == "train-3"
    assert test.calls["start_share"] == 0


@pytest.mark.parametrize(
    "more",
    [
        {"path": "azureml://subscriptions/s/workspaces/ws-dev/jobs/train-3/outputs/model/paths/"},
        {"tags": {"mlpromote.job": "train-3"}},
    ],
)
def test_the_job_may_stand_in_the_path_or_in_a_tag(first: Stage, test: FakeWorkspace, more: Any) -> None:
    test.registry.models["digits", "3"] = replace(test.registry.models["digits", "3"], job=None, **more)
    assert shared(first, test).metrics == {"accuracy": 0.9}


def test_a_copy_that_somebody_shared_is_traced_through_the_model_that_it_was_copied_from(
    first: Stage, test: FakeWorkspace, dev: FakeWorkspace
) -> None:
    original = dev.has_model("digits", "3", job="train-3")
    test.has_copy("digits", "3", original.asset_id)
    found = shared(first, test)
    assert (found.origin, found.metrics) == (original.asset_id, {"accuracy": 0.9})


def test_it_is_deployed_from_the_registry(first: Stage, test: FakeWorkspace) -> None:
    traced = after(first.with_settings(validate=[GATE]), test).validated(test)
    assert isinstance(traced.run("deploy", test), Succeeded)
    assert test.made[ENDPOINT, first.deployment].model == MODEL


def test_a_model_whose_job_cannot_be_found_passes_where_no_gate_asks_for_it(first: Stage, test: FakeWorkspace) -> None:
    alone = first.with_(rules=Rules())
    found = shared(alone, test)
    assert (found.job, found.job_not_found) == (None, "train-3")
    after(alone, test).validated(test)


def test_a_gate_on_a_model_whose_job_cannot_be_found_is_refused_by_its_name(first: Stage, test: FakeWorkspace) -> None:
    alone = after(first.with_(rules=Rules()).with_settings(validate=[GATE]), test)
    outcome = alone.run("validate", test)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.REFUSED
    assert "train-3 cannot be found, so there are no metrics" in outcome.reason


def test_a_workspace_that_may_not_be_read_is_passed_over(first: Stage, test: FakeWorkspace, dev: FakeWorkspace) -> None:
    test.raises["job"] = ForbiddenError("may not read jobs")
    assert shared(first, test).metrics == {"accuracy": 0.9}


def test_a_model_whose_job_still_runs_waits(first: Stage, test: FakeWorkspace, dev: FakeWorkspace) -> None:
    dev.jobs["train-3"] = Job("train-3", "Running", "e")
    outcome = first.poll("share", test)
    assert isinstance(outcome, Running)
    assert "train-3" in outcome.says


def test_what_is_not_in_the_registry_is_not_found(first: Stage, test: FakeWorkspace) -> None:
    test.registry.models.clear()
    outcome = first.run("share", test)
    assert isinstance(outcome, Failed)
    assert (outcome.kind, "in the registry" in outcome.reason) == (FailureKind.NOT_FOUND, True)


def test_a_model_without_the_tags_of_the_route_is_refused(first: Stage, test: FakeWorkspace) -> None:
    outcome = first.with_settings(require_tags={"promote": "yes"}).run("share", test)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.REFUSED


def test_who_registered_it_is_unknown_so_that_a_policy_about_authors_refuses(
    first: Stage, test: FakeWorkspace, dev: FakeWorkspace
) -> None:
    strict = after(first.with_(rules=Rules(Policy(not_author=True), source=dev)), test)
    outcome = strict.run("validate", test)
    assert isinstance(outcome, Failed)
    assert "dora, unknown (no person)" in outcome.reason


def test_a_squatter_of_the_registry_is_no_origin_for_a_model_of_a_workspace(stage: Stage, test: FakeWorkspace) -> None:
    forged = {**stage.evidence["share"], "origin": MODEL}
    outcome = stage.with_(evidence={"share": forged}).run("validate", test)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.CONFLICT
