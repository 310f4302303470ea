"""Classifies errors of Azure ML by their texts, since their codes say little."""

import re
from collections.abc import Iterable

from shared.core.messages import FailureKind


def kind_of(error: str, patterns: Iterable[tuple[FailureKind, str]], otherwise: FailureKind) -> FailureKind:
    """Return the first kind whose pattern occurs in the error, in upper or lower case."""
    return next((kind for kind, words in patterns if re.search(words, error, re.IGNORECASE)), otherwise)
