"""Follows a promotion until it ends."""

import select
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator

from mlpromote.api import Api, Document
from mlpromote.exit_codes import CommandError, ExitCode
from mlpromote.live_series import SeriesReader
from mlpromote.output import Output
from mlpromote.statuses import ENDED_OTHERWISE, UNDER_WAY
from mlpromote.tables import spoken
from mlpromote.watching import view

#: Pause between two polls.
POLL_SECONDS = 1.0
#: How long the app may be unreachable, for example during a deployment.
PATIENCE_SECONDS = 120.0


def followed(api: Api, promotion: Document, output: Output) -> ExitCode:
    """Follow the promotion, and print how it ended. The exit code is 0 only if it succeeded."""
    ended = follow(api, promotion, output)
    output.result(ended, lambda: [outcome(ended)])
    return ExitCode.DONE if ended["status"] == "succeeded" else ExitCode.REFUSED


def outcome(ended: Document) -> str:
    """Return how a promotion ended, in words."""
    status = ended["status"]
    how = f"been {spoken(status)}" if status in ENDED_OTHERWISE else status
    why = f": {ended['reason']}" if ended["reason"] else ""
    return f"{ended['id']} has {how}{why}"


def follow(
    api: Api,
    promotion: Document,
    output: Output,
    poll: float = POLL_SECONDS,
    patience: float = PATIENCE_SECONDS,
    until: Callable[[Document], bool] = lambda _: False,
) -> Document:
    """Show the promotion until it ends, or until `until` says so, and return its last state.

    Raises `CommandError` when the app gives no answer for `patience` seconds, and `BrokenPipeError` when nobody reads
    the output any more.
    """
    states = _states(api, promotion, poll, patience, until)
    if output.is_for_scripts:
        return deque(states, maxlen=1).pop()
    figures = SeriesReader(api)
    with view(output.console, clock=output.clock) as shown:
        for promotion in states:
            shown.show(promotion, figures(promotion) if shown.draws_figures else None)
    return promotion


def _states(
    api: Api, promotion: Document, poll: float, patience: float, until: Callable[[Document], bool]
) -> Iterator[Document]:
    """Yield the promotion as given, then as each poll finds it, until it ends."""
    yield promotion
    while promotion["status"] in UNDER_WAY and not until(promotion):
        _rest(poll)
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
        _rest(poll)


def _rest(seconds: float) -> None:
    """Pause, but no longer than somebody reads the output: `--watch | head -1` ends when `head` does."""
    try:
        poller = select.poll()  # not on Windows
        poller.register(sys.stdout.fileno(), 0)
    except (AttributeError, OSError, ValueError):
        time.sleep(seconds)
        return
    if any(event & select.POLLERR for _, event in poller.poll(seconds * 1000)):
        raise BrokenPipeError
