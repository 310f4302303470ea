"""What promotions do in Azure ML: one file per step, each with its `STEP`. New files are found automatically.

A step checks what exists, starts what is missing, and succeeds once it has read its effect back. It never waits, and
may run again at any time: it continues from what it finds.
"""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shared.worker.order import Step


@cache
def steps() -> "Mapping[str, Step[Any, Any]]":
    """All steps by name."""
    found = [import_module(f"{__name__}.{module.name}").STEP for module in iter_modules(__path__)]
    return {step.name: step for step in found}
