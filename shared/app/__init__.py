"""The app as functions see it: they call only what is here.

Each part is imported and connected by the first call that needs it, so that indexing stays fast.
"""

import logging
import os
from functools import cache
from typing import TYPE_CHECKING

from shared.app.indexing import approvals_are_taken_here, environments, roles_here, sign_in_is_required

if TYPE_CHECKING:
    from shared.app.wiring import App

__all__ = ["app", "approvals_are_taken_here", "environments", "roles_here", "sign_in_is_required"]


@cache
def app() -> "App":
    """This process's app, with the settings of its environment."""
    from shared.app.wiring import App
    from shared.telemetry.logs import keep_safe

    keep_safe(logging.getLogger("mlpromote"))
    logging.getLogger("azure").setLevel(logging.WARNING)  # at Info the SDKs log the headers of every call
    return App(os.environ)
