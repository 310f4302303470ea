"""The header that App Service authentication adds: what is believed of it, and when."""

import base64
import json
from typing import Any

import pytest

from shared.core.people import Person
from shared.http.principal import identified, signed_in
from shared.http.refusals import ForbiddenError

ON = {"WEBSITE_AUTH_ENABLED": "True"}
OBJECT_ID = "http://schemas.microsoft.com/identity/claims/objectidentifier"
ROLE = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"


def claim(kind: Any, value: Any) -> dict[str, Any]:
    return {"typ": kind, "val": value}


def header(*claims: Any, **changes: Any) -> dict[str, str]:
    principal = {"auth_typ": "aad", "claims": claims, "name_typ": "upn", "role_typ": ROLE, **changes}
    return {"X-MS-CLIENT-PRINCIPAL": base64.b64encode(json.dumps(principal).encode()).decode()}


def test_a_person_has_the_object_id_the_name_and_the_app_roles() -> None:
    claims = (claim(OBJECT_ID, "o-1"), claim("name", "Alice"), claim("roles", "A"), claim("roles", "B"))
    assert signed_in(header(*claims), ON) == Person("o-1", "Alice", ("A", "B"))


def test_claims_of_tokens_of_the_second_version_and_of_the_role_type_count_too() -> None:
    claims = (claim("oid", "o-1"), claim("preferred_username", "alice@contoso"), claim(ROLE, "A"), claim("roles", "A"))
    assert signed_in(header(*claims), ON) == Person("o-1", "alice@contoso", ("A",))


def test_an_application_that_signs_in_has_no_name_but_its_id() -> None:
    assert signed_in(header(claim(OBJECT_ID, "app-1"), claim("roles", "A")), ON) == Person("app-1", "app-1", ("A",))


def test_the_name_of_the_header_is_taken_in_any_casing() -> None:
    headers = {name.lower(): value for name, value in header(claim(OBJECT_ID, "o")).items()}
    assert signed_in(headers, ON) is not None


@pytest.mark.parametrize("settings", [{}, {"WEBSITE_AUTH_ENABLED": "false"}, {"WEBSITE_AUTH_ENABLED": "1"}])
def test_nobody_is_believed_while_the_platform_does_not_authenticate(settings: dict[str, str]) -> None:
    assert signed_in(header(claim(OBJECT_ID, "o-1")), settings) is None


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-MS-CLIENT-PRINCIPAL": ""},
        {"X-MS-CLIENT-PRINCIPAL": "!"},
        {"X-MS-CLIENT-PRINCIPAL": "čau"},
        {"X-MS-CLIENT-PRINCIPAL": base64.b64encode(b"\xff").decode()},
        {"X-MS-CLIENT-PRINCIPAL": base64.b64encode(b"[]").decode()},
        {"X-MS-CLIENT-PRINCIPAL": base64.b64encode(b"[" * 100_000).decode()},
        {"X-MS-CLIENT-PRINCIPAL-ID": "o-1", "X-MS-CLIENT-PRINCIPAL-NAME": "alice"},
        header(),
        header(claim("name", "Alice"), claim("roles", "A")),
        header(claim(OBJECT_ID, "")),
        header(claim(OBJECT_ID, 7)),
        header("x", None, [], {"typ": OBJECT_ID}, claim([], "o-1")),
        header(claims={"typ": OBJECT_ID}),
        header(claim(OBJECT_ID, "o-1"), auth_typ="github"),
        header(claim(OBJECT_ID, "o-1"), auth_typ=None),
    ],
)
def test_a_header_that_is_malformed_or_not_of_entra_id_is_nobody(headers: dict[str, str]) -> None:
    assert signed_in(headers, ON) is None


def test_claims_that_are_none_are_passed_over() -> None:
    headers = header(None, claim("roles", 7), claim(None, "x"), claim(OBJECT_ID, "o-1"), role_typ=None)
    assert signed_in(headers, ON) == Person("o-1", "o-1", ())


def test_nobody_is_asked_to_sign_in() -> None:
    with pytest.raises(ForbiddenError, match="Sign in"):
        identified(None)
