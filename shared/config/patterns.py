"""Shell patterns for model names: `*` matches any characters, `?` one, `[ab]` one of these. Case-sensitive."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache

_PATTERN = re.compile(r"[A-Za-z0-9._*?\[\]!-]+")
_CLASS = re.compile(r"\[!?[^]]+\]")


def check(pattern: str) -> str:
    """Return `pattern` if a model's name can match it; raise ValueError if none can."""
    if not _PATTERN.fullmatch(pattern):
        raise ValueError("can never match a model's name: use only letters, digits, . _ - and the wildcards * ? [ ]")
    return pattern


def matches(patterns: Iterable[str], name: str) -> bool:
    """Return whether any of `patterns` matches all of `name`."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def only_name(patterns: Iterable[str]) -> str | None:
    """Return the only name that `patterns` match, or None if they can match several."""
    names = set(patterns)
    name = names.pop() if len(names) == 1 else "*"
    return None if any(sign in name for sign in "*?[") else name


def overlap(one: Iterable[str], other: Iterable[str]) -> bool:
    """Return whether one name could match both. `[...]` counts as any character, so this errs towards yes."""
    others = [_CLASS.sub("?", pattern) for pattern in other]
    return any(_overlap(_CLASS.sub("?", left), right) for left in one for right in others)


def _overlap(left: str, right: str) -> bool:
    @cache
    def meet(i: int, j: int) -> bool:
        """Return whether `left` from i and `right` from j can match the same rest of a name."""
        if i == len(left) or j == len(right):
            return not (left[i:] + right[j:]).strip("*")
        if left[i] == "*":
            return meet(i + 1, j) or meet(i, j + 1)
        if right[j] == "*":
            return meet(i, j + 1) or meet(i + 1, j)
        return (left[i] == right[j] or "?" in (left[i], right[j])) and meet(i + 1, j + 1)

    return meet(0, 0)
