"""What all parts with an HTTP face share."""

import pytest

from localcloud.http_server import is_secret


@pytest.mark.parametrize(
    ("given", "is_right"),
    [("sécret", True), ("s\udcc3\udca9cret", True), ("secret", False), ("", False), ("\udcff", False)],
)
def test_a_secret_is_compared_byte_by_byte_whatever_the_bytes_are(given: str, is_right: bool) -> None:
    """aiohttp gives bytes of a header that are no UTF-8 as lone surrogates."""
    assert is_secret(given, "sécret") == is_right
