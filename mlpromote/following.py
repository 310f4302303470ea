"""Follows a promotion until it ends."""

import time
from collections import deque
from collections.abc import Iterator

from mlpromote.api import Api, Document
from mlpromote.exit_codes import CommandError, ExitCode
from mlpromote.output import Output
from mlpromote.watching import UNDER_WAY, view

#: Pause between two polls.
POLL_SECONDS = 1.0
#: How long the app may be unreachable, for example during a deployment.
PATIENCE_SECONDS = 120.0


def follow(
    api: Api, promotion: Document, output: Output, poll: float = POLL_SECONDS, patience: float = PATIENCE_SECONDS
) -> Document:
    """Show the promotion until it ends and return its final state. Every wait has a limit, so this ends.

    Raises `CommandError` when the app gives no answer for `patience` seconds.
    """
    states = _states(api, promotion, poll, patience)
    if output.as_json:
        return deque(states, maxlen=1).pop()
    with view(output.console, clock=output.clock) as shown:
        for promotion in states:
            shown.show(promotion)
    return promotion


def _states(api: Api, promotion: Document, poll: float, patience: float) -> Iterator[Document]:
    """Yield the promotion as given, then as each poll finds it, until it ends."""
    yield promotion
    while promotion["status"] in UNDER_WAY:
        time.sleep(poll)
        promotion = _poll(api, promotion["id"], poll, patience)
        yield promotion


def _poll(api: Api, promotion: str, poll: float, patience: float) -> Document:
    deadline = time.monotonic() + patience
    while True:
        try:
            found: Document = api.get("promotions", promotion)
            return found
        except CommandError as error:
            if error.exit_code is not ExitCode.NO_ANSWER or time.monotonic() > deadline:
                raise
        time.sleep(poll)
