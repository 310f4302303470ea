"""Patterns of model names as in a shell: `*` is any characters, `?` one, `[ab]` one of these. Case matters."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache

_PATTERN = re.compile(r"[A-Za-z0-9._*?\[\]!-]+")
_CLASS = re.compile(r"\[!?[^]]+\]")


def check(pattern: str) -> str:
    """`pattern`, if some model's name can match it."""
    if not _PATTERN.fullmatch(pattern):
        raise ValueError("no model's name can match: only letters, digits, . _ - and the signs * ? [ ] are possible")
    return pattern


def matches(patterns: Iterable[str], name: str) -> bool:
    """Whether any of `patterns` takes the whole of `name`."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def only_name(patterns: Iterable[str]) -> str | None:
    """The one name that `patterns` take; None if they can take several."""
    names = set(patterns)
    name = names.pop() if len(names) == 1 else "*"
    return None if any(sign in name for sign in "*?[") else name


def overlap(one: Iterable[str], other: Iterable[str]) -> bool:
    """Whether a name could be taken by both. `[...]` counts as any character, so this errs towards yes."""
    others = [_CLASS.sub("?", pattern) for pattern in other]
    return any(_overlap(_CLASS.sub("?", left), right) for left in one for right in others)


def _overlap(left: str, right: str) -> bool:
    @cache
    def meet(i: int, j: int) -> bool:
        """Whether `left` from i and `right` from j can take the same rest of a name."""
        if i == len(left) or j == len(right):
            return not (left[i:] + right[j:]).strip("*")
        if left[i] == "*":
            return meet(i + 1, j) or meet(i, j + 1)
        if right[j] == "*":
            return meet(i, j + 1) or meet(i + 1, j)
        return (left[i] == right[j] or "?" in (left[i], right[j])) and meet(i + 1, j + 1)

    return meet(0, 0)
