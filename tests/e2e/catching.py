"""Catches a promotion in the middle of a step: the app is inside a call to Azure whose work is done and whose answer is
held back. Needs the copy of the app in `held_app.py`, which waits for such an answer."""

from tests.e2e.azure import HeldCall
from tests.e2e.conftest import Cloud
from tests.e2e.promoting import running_steps


async def caught_in(cloud: Cloud, step: str, call: HeldCall, model: str, version: str, kind: str = "model") -> HeldCall:
    """The first call like this that is made while the promotion is in the step.

    Those before it are released, one after another, so the step cannot be missed.
    """
    while True:
        await call.reached()
        if await _is_in(cloud, step, model, version, kind):
            return call
        call = await call.next()


async def is_inside(cloud: Cloud, step: str, call: HeldCall, model: str, version: str, kind: str = "model") -> bool:
    """Whether the app says that the step is under way, and waits for the answer to the call."""
    return await _is_in(cloud, step, model, version, kind) and await call.is_under_way()


async def _is_in(cloud: Cloud, step: str, model: str, version: str, kind: str) -> bool:
    promotion = await cloud.promotions.find(model, version, kind)
    return promotion is not None and running_steps(promotion) == [step]
