"""Promotions as the app's API shows them, made up for tests."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

BEGAN = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def after(seconds: float) -> str:
    return (BEGAN + timedelta(seconds=seconds)).isoformat()


def step(
    name: str, status: str, started: float | None = None, ended: float | None = None, **more: Any
) -> dict[str, Any]:
    return {
        "name": name,
        "status": status,
        "started": None if started is None else after(started),
        "ended": None if ended is None else after(ended),
        "says": "",
        "polls": 1,
        "seconds": 0.1,
        "evidence": {},
        "failure": None,
        "next_poll": None,
        "deadline": None,
        **more,
    }


def stage(name: str, status: str, steps: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "environment": name,
        "endpoint": f"digits-{name}",
        "status": status,
        "started": next((it["started"] for it in steps if it["started"]), None),
        "ended": steps[-1]["ended"] if status in ("succeeded", "failed", "refused") else None,
        "reason": "",
        "steps": steps,
        "undoing": [],
        **more,
    }


def promotion(status: str, stages: list[dict[str, Any]], version: str = "1", **more: Any) -> dict[str, Any]:
    return {
        "id": f"digits-{version}",
        "route": "digits",
        "model": "digits",
        "version": version,
        "kind": "model",
        "status": status,
        "reason": "",
        "created": after(0),
        "updated": after(1),
        "stage": None,
        "stages": stages,
        "journal": [],
        **more,
    }


#: What the steps of the app say that they saw, as far as it is shown.
EVIDENCE: Mapping[str, Any] = {
    "share": {
        "registry_model": "azureml://registries/contoso-ml/models/digits/versions/1",
        "metrics": {"auc": 0.99819},
    },
    "validate": {"gates": [{"gate": "metric accuracy", "asked": "at least 0.8", "seen": "0.9648", "holds": True}]},
    "deploy": {"endpoint": "digits-test", "deployment": "v1-c19640d960"},
    "smoke": {"requests": 3, "answers": 3, "slowest_ms": 6.2, "median_ms": 2.9},
    "shift": {"traffic": {"v1-c19640d960": 100}},
    "retire": {"left_alone": {}},
}


def under_way() -> dict[str, Any]:
    """Test is done, prod deploys."""
    done = [step(name, "succeeded", at, at + 1.5, evidence=seen) for at, (name, seen) in enumerate(EVIDENCE.items())]
    deploying = [
        step("validate", "succeeded", 8, 8.4, evidence=EVIDENCE["validate"]),
        step("deploy", "running", 9, says="the deployment is being created", next_poll=after(15)),
        *(step(name, "waiting") for name in ("smoke", "shift", "retire")),
    ]
    return promotion("running", [stage("test", "succeeded", done), stage("prod", "running", deploying)])


def crashed() -> dict[str, Any]:
    """The deployment to test failed and was removed."""
    failure = {
        "kind": "container-crash",
        "reason": "init() raised AttributeError",
        "diagnosis": "Traceback …\nAttributeError",
    }
    steps = [step("deploy", "failed", 1, 6, failure=failure), step("smoke", "skipped")]
    undone = [step("remove", "succeeded", 6, 7, evidence={"deployment": "v3-c8ed7534db"})]
    return promotion("failed", [stage("test", "failed", steps, undoing=undone)], version="3", reason="init() raised")
