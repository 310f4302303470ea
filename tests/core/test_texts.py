"""Which names and texts are accepted from others."""

import pytest

from shared.core.messages import Candidate, Kind
from shared.core.precedence import is_newer
from shared.core.texts import check_name, unseen


@pytest.mark.parametrize("name", ["churn-eu", "2026-11-20.rc_1", "a%2Fb:ü ~", "モデル", "x" * 255, "9" * 255])
def test_what_can_be_seen_is_a_name(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("9" * 5000, "must be at most 255 characters, not 5000"),
        ("a\0b", r"holds the character U\+0000 \(NUL\)"),
        ("a\x1b[2Jb", r"holds the character U\+001B \(escape\)"),
        ("a\nb", r"holds the character U\+000A \(a line break\)"),
        ("a\u202eb", r"holds the character U\+202E \(right-to-left override\)"),
        ("a\u2066b", r"holds the character U\+2066 \(left-to-right isolate\)"),
        ("a\x85b", r"holds the character U\+0085"),
        ("a\ufeffb", r"holds the character U\+FEFF"),
        ("a\ud800b", "holds half a character"),
    ],
)
def test_what_cannot_be_seen_or_has_no_end_is_none(name: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        check_name(name)


def test_no_text_is_distinguished_from_what_is_refused_in_it() -> None:
    assert unseen("Müller, 東京, 👩‍🔬") is None


def test_versions_of_many_digits_are_no_numbers() -> None:
    """A text that was accepted before the edge refused it must not stop its lane."""
    many = Candidate(Kind.MODEL, "m", "9" * 5000, "dev", "/w").version
    assert not is_newer(many, "1")
    assert not is_newer("1", many)
    assert is_newer("9" * 255, "1")
