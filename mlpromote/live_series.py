"""Reads the live figures of a promotion from the app."""

import time
from collections.abc import Callable

from mlpromote.api import Api, Document, NoSuchAddressError
from mlpromote.exit_codes import CommandError, ExitCode
from mlpromote.live_figures import is_watched
from mlpromote.statuses import UNDER_WAY

#: Pause between two readings while somebody watches. On Azure, figures change once a minute.
READ_AGAIN_SECONDS = 3.0


def live_series(api: Api, promotion: Document) -> Document | None:
    """Return the live figures of a promotion, if it has been watched and the app keeps them."""
    if not is_watched(promotion):
        return None
    try:
        found: Document = api.get("promotions", promotion["id"], "series")
    except NoSuchAddressError:  # an older app
        return None
    return found


class SeriesReader:
    """Reads the live figures of a promotion that is followed, every few seconds."""

    def __init__(
        self, api: Api, pause: float = READ_AGAIN_SECONDS, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._api = api
        self._pause = pause
        self._seconds = seconds
        self._next = 0.0
        self._last: Document | None = None

    def __call__(self, promotion: Document) -> Document | None:
        """Return the figures as they were read last, or at the end. While the app cannot give them, those of before
        stay."""
        now = self._seconds()
        if now >= self._next or promotion["status"] not in UNDER_WAY:
            self._next = now + self._pause
            try:
                self._last = live_series(self._api, promotion)
            except CommandError as error:
                if error.exit_code is not ExitCode.NO_ANSWER:
                    raise
        return self._last
