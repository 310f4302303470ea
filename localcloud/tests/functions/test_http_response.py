"""What HTTP functions return, as the client sees it."""

from collections.abc import Mapping
from http.cookies import SimpleCookie

import pytest
from azure_functions_runtime.bindings.datumdef import Datum  # type: ignore[import-untyped]

from localcloud.functions.http_response import InvalidResponseError, response_of


def returned(
    status: str = "200", headers: Mapping[str, str] | None = None, cookies: list[SimpleCookie] | None = None
) -> Datum:
    """As the runtime library gives it."""
    content = {
        "status_code": Datum(status, "string"),
        "headers": {name: Datum(value, "string") for name, value in (headers or {}).items()},
        "cookies": cookies,
        "body": Datum(b"body", "bytes"),
    }
    return Datum(content, "http")


def test_no_return_value_is_no_content() -> None:
    assert response_of(None).status == 204


def test_every_cookie_has_a_header_of_its_own() -> None:
    response = response_of(returned(cookies=[SimpleCookie("a=1; Path=/; Secure"), SimpleCookie("b=2")]))
    assert response.headers.getall("Set-Cookie") == ["a=1; domain=; path=/; secure", "b=2; domain=; path="]


def test_a_cookie_keeps_every_attribute_and_comes_out_as_from_azure() -> None:
    cookie = SimpleCookie(
        "a=b%20c; HttpOnly; SameSite=Strict; Secure; Path=/x; Domain=example.com; Max-Age=100;"
        " Expires=Thu, 12 Jan 2017 13:55:08 GMT"
    )
    expected = (
        "a=b%2520c; expires=Thu, 12 Jan 2017 13:55:08 GMT; max-age=100; domain=example.com; path=/x; secure;"
        " samesite=strict; httponly"
    )
    assert response_of(returned(cookies=[cookie])).headers["Set-Cookie"] == expected


@pytest.mark.parametrize(
    ("attribute", "reason"),
    [
        ("Max-Age=Dummy", "the cookie 'a' has the max-age 'Dummy'"),
        ("Expires=Dummy", "the cookie 'a' expires at 'Dummy'"),
    ],
)
def test_a_cookie_that_the_real_host_cannot_read_cannot_be_sent(attribute: str, reason: str) -> None:
    with pytest.raises(InvalidResponseError, match=reason):
        response_of(returned(cookies=[SimpleCookie(f"a=1; {attribute}")]))


def test_the_server_alone_says_how_long_the_body_is() -> None:
    response = response_of(returned(headers={"content-length": "3", "Transfer-Encoding": "chunked", "X-Kept": "yes"}))
    assert "Transfer-Encoding" not in response.headers
    assert response.content_length == len(b"body")
    assert response.headers["X-Kept"] == "yes"


@pytest.mark.parametrize("status", ["99", "100", "1000", "abc", ""])
def test_a_status_that_http_does_not_have_cannot_be_sent(status: str) -> None:
    with pytest.raises(InvalidResponseError, match="is no status from 200 to 999"):
        response_of(returned(status))


@pytest.mark.parametrize(
    ("name", "value"), [("X A", "1"), ("", "1"), ("X-A", "1\r\nX-B: 2"), ("X-A", "\N{SNOWMAN}"), ("X-\N{SNOWMAN}", "1")]
)
def test_a_header_that_http_does_not_allow_cannot_be_sent(name: str, value: str) -> None:
    with pytest.raises(InvalidResponseError, match="has characters other than printable ASCII"):
        response_of(returned(headers={name: value}))
