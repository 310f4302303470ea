"""Waits for a promotion while showing it as the command line does."""

import asyncio
import time
from collections.abc import Callable

from examples.demo.promotions import POLL_SECONDS, Promotion, Promotions
from mlpromote.live_figures import is_watched
from mlpromote.statuses import ENDED
from mlpromote.watching import View


async def watch(
    view: View,
    promotions: Promotions,
    promotion: Promotion,
    within_seconds: float,
    until: Callable[[Promotion], bool] | None = None,
) -> Promotion:
    """Show a promotion until its end, and return its final state. Raises TimeoutError if it takes too long.

    `until` ends it earlier.
    """
    deadline = time.monotonic() + within_seconds
    with view as shown:
        shown.show(promotion)
        while promotion["status"] not in ENDED and not (until and until(promotion)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{promotion['id']} is still {promotion['status']} after {within_seconds:g} seconds")
            await asyncio.sleep(POLL_SECONDS)
            promotion = await promotions.get(promotion["id"])
            has_figures = shown.draws_figures and is_watched(promotion)
            shown.show(promotion, await promotions.series(promotion["id"]) if has_figures else None)
    return promotion
