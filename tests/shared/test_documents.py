"""What the documents of the store say, and what they leave to be known."""

import json
from typing import Any

from shared.cloud.documents import promotion_document, read_promotion
from shared.core.lane import decide
from shared.core.promotion import ApprovalRule, Lane, Promotion
from tests.core.driver import drive
from tests.core.world import KEY, NOW, Azure, requested


def ended() -> Promotion:
    return drive(Lane(KEY), requested("1"), Azure())[0].promotions[0]


def document_of(promotion: Promotion) -> Any:
    return json.loads(promotion_document(promotion))


def test_a_document_is_read_as_the_promotion_that_was_written() -> None:
    begun = decide(Lane(KEY), requested("1"), NOW).lane.promotions[0]
    for promotion in (begun, ended()):
        assert read_promotion(promotion_document(promotion)) == promotion


def test_steps_and_their_plans_leave_out_what_has_its_default() -> None:
    """They are the most of a document."""
    steps = [step for stage in document_of(ended())["stages"] for step in stage["steps"]]
    plans = [step["plan"] for step in steps]
    assert not [value for each in (*steps, *plans) for value in each.values() if value is False or value is None]
    assert {"name", "environment", "limit"} <= plans[0].keys()


def test_who_must_approve_is_written_in_full_also_where_it_is_the_usual_rule() -> None:
    """So that another usual rule of a later version does not change what a promotion under way needs."""
    rules = [stage["approval"] for stage in document_of(ended())["stages"]]
    assert rules
    assert all(rule.keys() == set(ApprovalRule.__struct_fields__) for rule in rules)
