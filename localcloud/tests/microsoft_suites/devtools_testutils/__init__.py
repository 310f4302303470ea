"""What Microsoft's tests ask of their own tools, which are not published: as much as a live run needs.

A live run records nothing, so every function about recordings does nothing.
"""

from typing import Any

from .helpers import is_live, is_live_and_not_recording

__all__ = ["AzureRecordedTestCase", "is_live", "is_live_and_not_recording"]


class AzureRecordedTestCase:
    """The base class of their test classes."""

    @property
    def is_live(self) -> bool:
        return is_live()


def _do_nothing(*_: Any, **__: Any) -> None:
    pass


add_body_key_sanitizer = _do_nothing
add_general_regex_sanitizer = _do_nothing
add_general_string_sanitizer = _do_nothing
add_remove_header_sanitizer = _do_nothing
add_uri_regex_sanitizer = _do_nothing
remove_batch_sanitizers = _do_nothing
set_bodiless_matcher = _do_nothing
set_custom_default_matcher = _do_nothing
