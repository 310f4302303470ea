"""`replace`, of dataclasses and of msgspec's types alike, as `copy.replace` of Python 3.13 does it."""

import dataclasses
from typing import TYPE_CHECKING

from msgspec import Struct, structs

if TYPE_CHECKING:
    from dataclasses import replace  # also of a Struct, mypy then checks the names and types of what is replaced
else:

    def replace(value, /, **changes):
        """A copy of the value with these fields changed. Raises TypeError for a field that it does not have."""
        make = structs.replace if isinstance(value, Struct) else dataclasses.replace
        return make(value, **changes)


__all__ = ["replace"]
