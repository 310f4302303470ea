"""A model that is deployed in the workspace that it comes from, without the registry."""

import pytest

from shared.config.policy import Policy
from shared.core.approval import Author
from shared.core.messages import Failed, FailureKind, Succeeded
from shared.core.replacing import replace
from shared.core.wire import from_json
from shared.ports import Job
from shared.worker.order import Rules
from shared.worker.steps.share import Shared
from tests.fakes.jobs import JobOutcome
from tests.fakes.workspace import FakeWorkspace
from tests.steps.promotion import ENDPOINT, Stage, champion

PROD = "/subscriptions/s/workspaces/ws-prod"
MODEL = "azureml://locations/west/workspaces/ws-prod/models/digits/versions/3"
DORA = Author("id-of-dora", "dora", is_person=True)


@pytest.fixture
def prod() -> FakeWorkspace:
    """With a trained model, and a registry that its region does not reach."""
    fake = FakeWorkspace(name="ws-prod", out_of_reach="westeurope")
    fake.has_model("digits", "3", tags={"promote": "true"}, job="train-3")
    fake.jobs["train-3"] = Job("train-3", "Completed", "e")
    fake.job_metrics["train-3"] = {"accuracy": 0.9}
    fake.made_by["digits", "3"] = [DORA]
    return fake


@pytest.fixture
def home(stage: Stage, prod: FakeWorkspace) -> Stage:
    """A stage of route `from: prod` in prod, after `share`."""
    there = stage.with_(
        source=PROD, asset="workspace", rules=Rules(workspace=PROD.upper()), options={"copies": False}, evidence={}
    )
    outcome = there.run("share", prod)
    assert isinstance(outcome, Succeeded), outcome
    return there.with_(evidence={"share": outcome.evidence}, options={})


def test_its_lineage_is_gathered_and_nothing_is_copied(home: Stage, prod: FakeWorkspace) -> None:
    shared = from_json(Shared, home.evidence["share"])
    assert (shared.registry_model, shared.origin) == (None, MODEL)
    assert (shared.tags, shared.metrics, shared.authors) == ({"promote": "true"}, {"accuracy": 0.9}, (DORA,))
    assert shared.job
    assert shared.job.name == "train-3"
    assert prod.registry.models == {}
    assert not {"start_share", "registry_model"} & prod.calls.keys()


def test_a_model_without_the_tags_of_the_route_is_refused(stage: Stage, prod: FakeWorkspace) -> None:
    asks = stage.with_settings(require_tags={"promote": "yes"})
    outcome = asks.with_(source=PROD, options={"copies": False}, evidence={}).run("share", prod)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.REFUSED


def test_the_workspaces_own_asset_is_deployed(home: Stage, prod: FakeWorkspace) -> None:
    validated = home.validated(prod)
    assert validated.evidence["validate"]["manifest"]["model"] == MODEL
    assert isinstance(validated.run("deploy", prod), Succeeded)
    assert prod.made[ENDPOINT, home.deployment].model == MODEL
    assert prod.registry.models == {}


def test_a_model_that_was_registered_anew_under_its_version_is_not_deployed(home: Stage, prod: FakeWorkspace) -> None:
    validated = home.validated(prod)
    prod.models["digits", "3"] = replace(prod.models["digits", "3"], asset_id=MODEL.replace("ws-prod", "other"))
    outcome = validated.run("deploy", prod)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.CONFLICT
    assert prod.made == {}


def test_a_model_that_was_deleted_is_not_found(home: Stage, prod: FakeWorkspace) -> None:
    prod.models.clear()
    outcome = home.run("validate", prod)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.NOT_FOUND


def test_a_worker_takes_no_other_workspaces_model_for_its_own(home: Stage, prod: FakeWorkspace) -> None:
    outcome = home.with_(rules=Rules(workspace="/subscriptions/s/workspaces/ws-other")).run("validate", prod)
    assert isinstance(outcome, Failed)
    assert "deploys models of its own workspace without the registry" in outcome.reason


def test_its_author_is_read_by_the_worker_itself(home: Stage, prod: FakeWorkspace) -> None:
    strict = home.with_(rules=Rules(Policy(not_author=True), workspace=PROD))
    forged = {**home.evidence["share"], "authors": [{"id": "x", "name": "mallory", "is_person": True}]}
    outcome = strict.with_(evidence={"share": forged}).run("validate", prod)
    assert isinstance(outcome, Succeeded), outcome
    (gate,) = (each for each in outcome.evidence["gates"] if each["gate"] == "policy: author")
    assert gate["seen"] == "dora"


def test_a_champion_that_came_through_the_registry_is_brought_back_from_there(home: Stage, prod: FakeWorkspace) -> None:
    prod.has_model("digits", "2")
    origin = prod.models["digits", "2"].asset_id
    copy = prod.has_copy("digits", "2", origin)
    prod.out_of_reach = None
    before = home.with_(promotion="digits-2-xyz", version="2", asset=None)
    evidence = {**before.evidence["share"], "origin": origin, "registry_model": copy.asset_id}
    theirs = before.with_(evidence={"share": evidence}).approved(prod)
    served = replace(champion(), evidence=theirs.evidence)
    outcome = home.with_(champion=served).run("reinstate", prod)
    assert isinstance(outcome, Succeeded), outcome
    assert [each.model for each in prod.made.values()] == [copy.asset_id]


def test_a_champion_of_the_workspace_is_brought_back_from_the_workspace(home: Stage, prod: FakeWorkspace) -> None:
    model = prod.has_model("digits", "2")
    before = home.with_(promotion="digits-2-xyz", version="2")
    theirs = before.with_(evidence={"share": {**before.evidence["share"], "origin": model.asset_id}}).approved(prod)
    of_prod = replace(champion().candidate, workspace=PROD)
    served = replace(champion(), candidate=of_prod, evidence=theirs.evidence)
    outcome = home.with_(champion=served).run("reinstate", prod)
    assert isinstance(outcome, Succeeded), outcome
    assert [each.model for each in prod.made.values()] == [model.asset_id]


def test_it_is_evaluated_beside_a_champion_of_the_same_workspace(home: Stage, prod: FakeWorkspace) -> None:
    (home.folder / "src").mkdir()
    (home.folder / "src" / "evaluate.py").write_text("print('measures')\n")
    inputs = "{model: {type: custom_model}, champion: {type: custom_model}}"
    job = f"command: python evaluate.py\ncode: src\nenvironment: azureml:sklearn:1\ninputs: {inputs}\n"
    (home.folder / "evaluate.yml").write_text(job)
    prod.outcome = JobOutcome(metrics={"auc": 0.9, "champion.auc": 0.89})
    before = prod.has_model("digits", "2")
    served = replace(champion(), candidate=replace(champion().candidate, workspace=PROD))
    asked = {"job": "evaluate.yml", "gates": [{"metric": "auc", "at_least": 0.8}]}
    outcome = home.with_(champion=served).with_settings(evaluate=asked).validated(prod).run("evaluate", prod)
    assert isinstance(outcome, Succeeded), outcome
    assert (outcome.evidence["model"], outcome.evidence["champion"]) == (MODEL, before.asset_id)
