"""Answers of the API, made up for tests."""

from typing import Any

from tests.examples.promotion_document import EVIDENCE, after, promotion, stage, step

#: Evidence of an evaluation.
MEASURED: dict[str, Any] = {
    "job": "digits-3-prod-evaluate-1",
    "digest": "sha256:" + "ab" * 32,
    "studio": "https://ml.azure.com/runs/x",
    "champion": "azureml://registries/contoso-ml/models/digits/versions/2",
    "data": [{"input": "data", "name": "holdout", "version": "7", "asset": "/subscriptions/…"}],
    "metrics": [
        {"metric": "auc", "candidate": 0.91, "champion": 0.9},
        {"metric": "loss", "candidate": None, "champion": 0.25},
    ],
    "not_numbers": {"loss": "NaN"},
    "gates": [{"gate": "metric auc", "asked": "at least 0.8", "seen": "0.91", "holds": True}],
}


def summary(version: str = "3", status: str = "failed", **more: Any) -> dict[str, Any]:
    """A promotion in a list."""
    document = promotion(status, [], version, **{"id": f"digits-{version}-0123456789ab", **more})
    return {name: value for name, value in document.items() if name not in ("stages", "journal")}


def detailed(status: str = "running", **more: Any) -> dict[str, Any]:
    """A promotion that waits for approval in prod, unless told otherwise."""
    approval = {
        "min": 2,
        "roles": ["Promotion.Approver"],
        "not_requester": True,
        "not_author": False,
        "taken_by": "coordinator",
        "status": "running",
        "evidence": "0123456789abcdef",
        "given": [{"id": "1", "name": "bob", "at": after(3), "reason": "fine"}],
        "until": after(1000),
    }
    stages = [
        stage("test", "succeeded", [step("validate", "succeeded", 0, 1, evidence=EVIDENCE["validate"])], approval=None),
        stage("prod", "running", [step("approve", "running", 2, says="waits for approval")], approval=approval),
    ]
    wait = {"stage": "prod", "for": "approval: 1 of 2 given", "since": after(2), "until": after(1000)}
    entry = {"at": after(3), "stage": "prod", "step": "approve", "what": "approved", "text": "bob: fine (1 of 2)"}
    more = {"id": "digits-3-0123456789ab", "requested_by": "alice", "waits": [wait], "journal": [entry], **more}
    return promotion(status, stages, version="3", **more)


def failure(**more: Any) -> dict[str, Any]:
    """A promotion that failed, in the list of failures."""
    return {
        "id": "digits-3-0123456789ab",
        "what": "promotion",
        "kind": "container-crash",
        "queue": "steps-test",
        "route": "digits",
        "model": "digits",
        "promotion": "digits-3-0123456789ab",
        "stage": "test",
        "step": "deploy",
        "environment": "test",
        "reason": "init() raised AttributeError",
        "diagnosis": "Traceback …\nAttributeError: no attribute",
        "tried": 2,
        "at": after(0),
        "replay": {"safe": True, "why": "it goes on from what failed"},
        **more,
    }


def lane(**more: Any) -> dict[str, Any]:
    """A route's model, served in test, on its way to prod, which is held."""
    champion = {"promotion": "digits-1-0123456789ab", "version": "1", "since": after(0)}
    stages = [
        {"name": "test", "champion": champion, "challengers": [], "queue": [], "hold": None},
        {
            "name": "prod",
            "champion": None,
            "challengers": [{"promotion": "p", "version": "2", "kind": "model"}],
            "queue": [{"promotion": "q", "version": "3", "kind": "model"}],
            "hold": {"by": "alice", "reason": "strange answers", "since": after(0), "promotion": "p"},
        },
    ]
    return {"route": "digits", "model": "digits", "stages": stages, **more}
