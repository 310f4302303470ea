"""Turns the content of a file into a type, or says everything that keeps it from being one."""

from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from shared.config import wording
from shared.config.faults import Fault

Shape = TypeVar("Shape", bound=BaseModel)


def validated(shape: type[Shape], content: Any, missing: Iterable[Fault]) -> tuple[Shape | None, list[Fault]]:
    """The content as a `shape`, or None with its faults. `missing`: settings that are not set, which no other fault
    repeats."""
    try:
        return shape.model_validate(content), []
    except ValidationError as refusal:
        unset = {fault.place for fault in missing}
        return None, [fault for fault in wording.of_shape(refusal, shape, content) if fault.place not in unset]
