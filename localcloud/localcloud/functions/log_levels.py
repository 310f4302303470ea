"""`logging.logLevel` of host.json: which records of the log are written, by the category that they belong to.

As in .NET, a rule holds for every category that begins with its name, whatever the case of the letters. Of several
rules the longest decides; where there is none, `default` does. The categories:

- `Function.NAME.User`: what a function logs;
- `Function.NAME`: what the host says of its invocations;
- `Host.…`: what else the host says;
- none: what an app logs outside of its functions.
"""

import logging
from collections.abc import Mapping

DEFAULT = "default"

#: Python's levels by the names that .NET, and so host.json, has for them.
LOG_LEVELS = {
    "Trace": logging.DEBUG,
    "Debug": logging.DEBUG,
    "Information": logging.INFO,
    "Warning": logging.WARNING,
    "Error": logging.ERROR,
    "Critical": logging.CRITICAL,
    "None": logging.CRITICAL + 10,
}


class LogLevels:
    """The rules of one host."""

    def __init__(self, rules: Mapping[str, str]) -> None:
        """`rules` gives each category, and `default`, one of `LOG_LEVELS`, whatever the case of its letters.

        Raises ValueError for another level.
        """
        levels = {"": logging.INFO}
        for category, level in rules.items():
            prefix = "" if category.lower() == DEFAULT else category.lower()
            levels[prefix] = _level(category, level)
        self._rules = sorted(levels.items(), key=lambda rule: len(rule[0]), reverse=True)
        self._known: dict[str, int] = {}
        #: What is below it is written for no category.
        self.lowest = min(levels.values())

    def least(self, category: str) -> int:
        """The lowest of Python's levels that is written for the category."""
        least = self._known.get(category)
        if least is None:
            lowered = category.lower()
            least = next(level for prefix, level in self._rules if lowered.startswith(prefix))
            self._known[category] = least
        return least


def _level(category: str, text: str) -> int:
    for known, level in LOG_LEVELS.items():
        if known.lower() == text.lower():
            return level
    raise ValueError(f"logging.logLevel.{category} must be one of {', '.join(LOG_LEVELS)}, not {text!r}.")
