"""Bodies become dataclasses, or a sentence that says what is wrong."""

import json
from dataclasses import dataclass

import pytest

from shared.http.bodies import MOST_ITEMS, read
from shared.http.refusals import BadRequestError


@dataclass(frozen=True)
class Inner:
    name: str
    kind: str | None = None


@dataclass(frozen=True)
class Body:
    reason: str
    ids: tuple[str, ...] = ()
    really: bool = False
    filter: Inner | None = None


def test_a_full_body_and_one_with_what_is_needed() -> None:
    assert read(Body, b'{"reason": "r"}') == Body("r")
    full = b'{"reason": "r", "ids": ["a", "b"], "really": true, "filter": {"name": "n"}}'
    assert read(Body, full) == Body("r", ("a", "b"), True, Inner("n"))
    assert read(Body, b'{"reason": "r", "filter": null}') == Body("r")


@pytest.mark.parametrize("reason", ["Müller, 東京", "🚀 👩‍🔬 fine", "می‌خواهم", '1 < 2 & "quoted"', "naïve café"])
def test_what_people_write_in_any_language_is_taken(reason: str) -> None:
    assert read(Body, json.dumps({"reason": reason}).encode()) == Body(reason)


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
    ],
)
def test_what_does_not_fit_is_told_with_its_place(body: bytes, says: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        read(Body, body)
    assert str(refused.value).startswith(says)
