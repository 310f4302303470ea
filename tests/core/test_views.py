"""What the API shows of a promotion."""

from collections.abc import Mapping
from typing import Any

import pytest

from shared.core.messages import Evidence
from shared.core.promotion import Lane
from shared.core.replacing import replace
from shared.core.views import details
from tests.core.world import KEY, promotion

MANIFEST: Evidence = {"manifest": {"digest": "of what would be deployed"}}


@pytest.mark.parametrize(
    ("evidence", "shown"),
    [
        ({}, None),
        ({"validate": MANIFEST}, "of what would be deployed"),
        ({"validate": MANIFEST, "evaluate": {"approves": "with what was measured"}}, "with what was measured"),
    ],
)
def test_an_approval_that_an_environment_takes_is_for_what_it_has_seen_last(
    evidence: Mapping[str, Evidence], shown: str | None
) -> None:
    asked = promotion(stages={"prod": ()}, asked=("approval", "evaluate"))
    (stage,) = asked.stages
    steps = tuple(
        replace(step, evidence=evidence.get(step.plan.name, {}), plan=replace(step.plan, waits=False))
        for step in stage.steps
    )
    document: Any = details(replace(asked, stages=(replace(stage, steps=steps),)), (), Lane(KEY))
    assert document["stages"][0]["approval"]["evidence"] == shown


@pytest.mark.parametrize(("endpoint", "shown"), [("churn-prod", "churn-prod"), ("", None)])
def test_a_stage_shows_its_endpoint_if_it_deploys_to_one(endpoint: str, shown: str | None) -> None:
    asked = promotion(stages={"prod": ()})
    stage = replace(asked.stages[0], endpoint=endpoint)
    document: Any = details(replace(asked, stages=(stage,)), (), Lane(KEY))
    assert document["stages"][0]["endpoint"] == shown
