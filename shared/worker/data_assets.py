"""Data assets of an environment's workspace, for the steps that use them."""

from typing import Any

from shared.core.messages import Failed, FailureKind
from shared.ports import DataAsset
from shared.worker.order import Order


def usable(order: Order[Any], name: str, version: str | None, correct: str) -> DataAsset | Failed:
    """Return a version of a data asset, the latest one for None, or why it cannot be used.

    `correct` says where people name another one, as an instruction.
    """
    found = order.workspace.data_asset(name, version)
    if found is not None and not found.is_archived:
        return found
    asked = found.version if found is not None else version
    which = f"{name}, version {asked}," if asked else name
    where = f"the workspace of {order.command.environment}"
    if found is None:
        return Failed(f"There is no data asset {which} in {where}. Create it, or {correct}.", FailureKind.NOT_FOUND)
    return Failed(f"Data asset {which} in {where} is archived. Restore it, or {correct}.", FailureKind.NOT_FOUND)
