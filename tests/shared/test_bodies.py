"""Bodies become dataclasses, or a sentence that says what is wrong."""

import json

import pytest

from shared.http.bodies import LONGEST_TEXT, MOST_ITEMS, Body, Flag, Text, Texts, read
from shared.http.refusals import BadRequestError


class Inner(Body):
    name: Text
    kind: Text | None = None


class Asked(Body):
    reason: Text
    ids: Texts = ()
    really: Flag = False
    filter: Inner | None = None


def test_a_full_body_and_one_with_what_is_needed() -> None:
    assert read(Asked, b'{"reason": "r"}') == Asked(reason="r")
    full = b'{"reason": "r", "ids": ["a", "b"], "really": true, "filter": {"name": "n"}}'
    assert read(Asked, full) == Asked(reason="r", ids=("a", "b"), really=True, filter=Inner(name="n"))
    assert read(Asked, b'{"reason": "r", "filter": null}') == Asked(reason="r")


@pytest.mark.parametrize("reason", ["Müller, 東京", "🚀 👩‍🔬 fine", "می‌خواهم", '1 < 2 & "quoted"', "naïve café"])
def test_what_people_write_in_any_language_is_taken(reason: str) -> None:
    assert read(Asked, json.dumps({"reason": reason}).encode()) == Asked(reason=reason)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "reason: missing"),
        (b"nonsense", "the body is not JSON"),
        (b"[" * 100_000, "the body is too deeply nested"),
        (b'{"reason": "r", "reason": "s"}', "reason: given twice"),
        (b'{"reason": "r", "filter": {"name": "a", "name": "b"}}', "name: given twice"),
        (b"7", "the body must be a JSON object"),
        (b'{"reason": null}', "reason: must be a string"),
        (b'{"reason": "r", "resaon": "r"}', "resaon: unknown; known are reason, ids, really, filter"),
        (b'{"reason": "r", "ids": "a"}', "ids: must be a list of strings"),
        (b'{"reason": "r", "ids": ["a", 7]}', "ids[1]: must be a string"),
        (b'{"reason": "r", "ids": [' + b'"a",' * MOST_ITEMS + b'"a"]}', "ids: must be a list of strings, at most 1000"),
        (b'{"reason": "r", "really": 1}', "really: must be true or false"),
        (b'{"reason": "r", "filter": "n"}', "filter must be a JSON object"),
        (b'{"reason": "r", "filter": {}}', "filter.name: missing"),
        (b'{"reason": "r", "filter": {"name": "n", "x": 1}}', "filter.x: unknown; known are name, kind"),
        (b'{"reason": "a\\u0000b"}', "reason: holds the character U+0000 (NUL)"),
        (b'{"reason": "fine\\n2026 INFO approved"}', "reason: holds the character U+000A (a line break)"),
        (b'{"reason": "fine\\r"}', "reason: holds the character U+000D (a line break)"),
        (b'{"reason": "\\u001b[2J"}', "reason: holds the character U+001B (escape)"),
        (b'{"reason": "\\u009b31m"}', "reason: holds the character U+009B (a control character)"),
        (b'{"reason": "\\u202egnp.exe"}', "reason: holds the character U+202E (right-to-left override)"),
        (b'{"reason": "a\\u2028b"}', "reason: holds the character U+2028 (line separator)"),
        (b'{"reason": "a", "ids": ["b\\u200b"]}', "ids[0]: holds the character U+200B (zero width space)"),
        (b'{"reason": "\\ud800"}', "reason: holds half a character"),
        (b'{"reason": " "}', "reason: must be a string of 1 to 2000 characters"),
        (b'{"reason": "' + b"r" * (LONGEST_TEXT + 1) + b'"}', "reason: must be a string of 1 to 2000 characters"),
        (b'{"resaon": "r"}', "resaon: unknown"),
        (b'{"really": 1}', "reason: missing"),
        (b'{"reason": "r", "' + b"x" * 200 + b'": 1}', "x" * 100 + ": unknown"),
    ],
)
def test_what_does_not_fit_is_reported_with_its_place(body: bytes, says: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        read(Asked, body)
    assert str(refused.value).startswith(says)
