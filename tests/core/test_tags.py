"""Of a model's tags, those travel that somebody reads, no longer than they need to be."""

from shared.core.messages import LONGEST_TAG, relevant_tags

TAGS = {"promote": "true", "notes": "n" * 3000}


def test_only_the_tags_that_are_asked_for_are_kept() -> None:
    assert relevant_tags(TAGS, {"promote", "missing"}) == {"promote": "true"}
    assert relevant_tags(TAGS, set()) == {}


def test_all_are_kept_where_nobody_says_which() -> None:
    assert relevant_tags(TAGS, None).keys() == TAGS.keys()


def test_a_long_value_is_cut() -> None:
    assert relevant_tags(TAGS, {"notes"}) == {"notes": "n" * LONGEST_TAG}
    assert LONGEST_TAG == 2000
