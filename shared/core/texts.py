"""Checks names and texts from people and events for invisible characters, which can also control what displays them."""

import unicodedata

#: Longest name of a model, version, job and the like in Azure ML.
LONGEST_NAME = 255

#: Control and format characters; U+2028 and U+2029 break lines, too.
_REFUSED = frozenset({"Cc", "Cf", "Zl", "Zp"})
_JOINERS = "\u200c\u200d"  # some scripts and emoji need them


def unseen(text: str) -> str | None:
    """The first refused character, in words; None if there is none."""
    for each in text:
        if each.isascii() and each.isprintable():
            continue
        if unicodedata.category(each) == "Cs":
            return "half a character"
        if unicodedata.category(each) in _REFUSED and each not in _JOINERS:
            return f"the character U+{ord(each):04X} ({_name(each)})"
    return None


def check_name(text: str, longest: int = LONGEST_NAME) -> str:
    """`text`, if it can be a name. The text of the ValueError continues a sentence that starts with what is named."""
    if len(text) > longest:
        raise ValueError(f"must be at most {longest} characters, not {len(text)}")
    if found := unseen(text):
        raise ValueError(f"holds {found}")
    return text


def _name(character: str) -> str:
    names = {"\0": "NUL", "\n": "a line break", "\r": "a line break", "\t": "a tab", "\x1b": "escape"}
    return names.get(character) or unicodedata.name(character, "a control character").lower()
