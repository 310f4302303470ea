"""`replace` copies what the core works with, whatever it is made of."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytest
from msgspec import Struct

from shared.core.replacing import replace


@dataclass(frozen=True)
class OfDataclass:
    number: int
    text: str = ""


class OfStruct(Struct, frozen=True, dict=True):
    number: int
    text: str = ""

    @cached_property
    def twice(self) -> int:
        return 2 * self.number


KINDS = (OfDataclass(1, "kept"), OfStruct(1, "kept"))


@pytest.mark.parametrize("value", KINDS, ids=lambda value: type(value).__name__)
def test_what_is_named_is_changed_and_the_rest_is_kept(value: Any) -> None:
    assert replace(value, number=2) == type(value)(2, "kept")
    assert value == type(value)(1, "kept")


@pytest.mark.parametrize("value", KINDS, ids=lambda value: type(value).__name__)
def test_a_field_that_does_not_exist_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="nothing_like_that"):
        replace(value, nothing_like_that=2)


def test_what_was_computed_from_the_old_fields_is_not_carried_over() -> None:
    value = OfStruct(1)
    assert value.twice == 2
    assert replace(value, number=2).twice == 4
