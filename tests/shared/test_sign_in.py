"""Which tokens count, and what is said about others."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from shared.cloud.signing_keys import SigningKeys, fetch
from shared.config.app_settings import AppSettings
from shared.config.sign_in import AUTHORITY, CLIENT_ID, MODE, TENANT, SignInSettingsError, is_required, read
from shared.core.events import Person
from shared.http.refusals import NotAvailableError, NotSignedInError
from shared.http.sign_in import Verifier, signed_in
from tests.fakes.clock import Clock
from tests.fakes.identity_provider import APP, TENANT_ID, IdentityProvider, private_key

MINUTE = 60
HOUR = 60 * MINUTE


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    with IdentityProvider().serving() as one:
        yield one


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def verifier(provider: IdentityProvider, clock: Clock) -> Verifier:
    settings = read(AppSettings.read(provider.settings))
    assert settings
    return Verifier(settings, SigningKeys(partial(fetch, settings), clock))


def refused(verifier: Verifier, headers: dict[str, str]) -> NotSignedInError:
    with pytest.raises(NotSignedInError) as caught:
        signed_in(headers, verifier)
    assert caught.value.status == 401
    return caught.value


def test_a_person_has_the_object_id_the_name_and_the_app_roles(provider: IdentityProvider, verifier: Verifier) -> None:
    person = signed_in(provider.headers("alice", "A", "B", "A"), verifier)
    assert person == Person("id-of-alice", "alice", ("A", "B"))


def test_a_person_has_the_groups_of_the_token(provider: IdentityProvider, verifier: Verifier) -> None:
    person = signed_in(provider.headers("alice", groups=["A-1", 7, "b-2"]), verifier)
    assert person == Person("id-of-alice", "alice", (), ("a-1", "b-2"))


@pytest.mark.parametrize("claims", [{"hasgroups": True}, {"_claim_names": {"groups": "src1"}}])
def test_a_token_that_leaves_groups_out_still_counts_and_says_what_to_do(
    provider: IdentityProvider, verifier: Verifier, claims: dict[str, Any]
) -> None:
    person = signed_in(provider.headers("alice", "A", **claims), verifier)
    assert person
    assert person.roles == ("A",)
    assert "Assign the groups that matter to this app in Entra ID" in person.groups_left_out


@pytest.mark.parametrize(
    ("claims", "person"),
    [
        ({"name": None, "preferred_username": "alice@contoso"}, Person("id-of-alice", "alice@contoso", ())),
        ({"name": None, "roles": None}, Person("id-of-alice", "id-of-alice", ())),
        ({"name": 7, "roles": "Promotion.Operator"}, Person("id-of-alice", "id-of-alice", ())),
        ({"roles": [7, "A", None]}, Person("id-of-alice", "alice", ("A",))),
    ],
)
def test_claims_that_are_missing_or_of_another_type_give_nobody_a_role(
    claims: dict[str, Any], person: Person, provider: IdentityProvider, verifier: Verifier
) -> None:
    assert signed_in(provider.headers("alice", **claims), verifier) == person


def test_clocks_may_differ_a_little(provider: IdentityProvider, verifier: Verifier) -> None:
    now = int(time.time())
    assert signed_in(provider.headers("alice", exp=now - 30), verifier)
    assert signed_in(provider.headers("alice", nbf=now + 30, iat=now + 30), verifier)


def test_the_header_and_its_scheme_are_taken_in_any_casing(provider: IdentityProvider, verifier: Verifier) -> None:
    assert signed_in({"AUTHORIZATION": f"bearer  {provider.token('alice')}"}, verifier)


def test_without_a_token_nobody_has_signed_in(verifier: Verifier) -> None:
    assert signed_in({}, verifier) is None
    forged = base64.b64encode(json.dumps({"auth_typ": "aad", "claims": [{"typ": "oid", "val": "x"}]}).encode())
    assert signed_in({"X-MS-CLIENT-PRINCIPAL": forged.decode()}, verifier) is None


def unsigned(provider: IdentityProvider) -> str:
    return jwt.encode(provider.claims("mallory"), "", "none", {"kid": "first"})


def signed_with_the_public_key(provider: IdentityProvider) -> str:
    """The classic confusion: the public key is used as a shared secret. PyJWT refuses to make such a token."""
    public = private_key("first").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header, claims = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
        for part in ({"alg": "HS256", "typ": "JWT", "kid": "first"}, provider.claims("mallory"))
    )
    hmac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    signature = base64.urlsafe_b64encode(hmac.sign(f"{header}.{claims}".encode(), public)).rstrip(b"=").decode()
    return f"{header}.{claims}.{signature}"


def with_other_claims(provider: IdentityProvider) -> str:
    """The signature of one token under the claims of another."""
    header, _, signature = provider.token("alice").split(".")
    return f"{header}.{provider.token('alice', 'Promotion.Operator').split('.')[1]}.{signature}"


def without_kid(provider: IdentityProvider) -> str:
    return jwt.encode(provider.claims("mallory"), private_key("first"), "RS256")


def of_another_key(provider: IdentityProvider) -> str:
    return jwt.encode(provider.claims("mallory"), private_key("stolen"), "RS256", {"kid": "first"})


OTHER_TENANT = TENANT_ID.replace("1", "9")
BAD_TOKENS: dict[str, tuple[Callable[[IdentityProvider], str], str]] = {
    "wrong issuer": (lambda p: p.token("m", iss=f"{p.authority}/{OTHER_TENANT}/v2.0"), "was not issued by"),
    "issuer of version 1": (
        lambda p: p.token("m", iss=f"https://sts.windows.net/{TENANT_ID}/"),
        "requestedAccessToken",
    ),
    "no issuer": (lambda p: p.token("m", iss=None), "lacks the claim iss"),
    "wrong audience": (lambda p: p.token("m", aud="https://management.azure.com"), f"scope api://{APP}/.default"),
    "audience among others": (lambda p: p.token("m", aud=[APP, "other"]), "is for another app"),
    "no audience": (lambda p: p.token("m", aud=None), "lacks the claim aud"),
    "expired": (lambda p: p.token("m", exp=int(time.time()) - 120), "has expired"),
    "no expiry": (lambda p: p.token("m", exp=None), "lacks the claim exp"),
    "not yet valid": (lambda p: p.token("m", nbf=int(time.time()) + 120), "not valid yet"),
    "no object id": (lambda p: p.token("m", oid=None), "lacks the claim oid"),
    "empty object id": (lambda p: p.token("m", oid=""), "lacks the claim oid"),
    "object id that is no text": (lambda p: p.token("m", oid=7), "lacks the claim oid"),
    "wrong tenant": (lambda p: p.token("m", tid=OTHER_TENANT), "not from the tenant"),
    "no tenant": (lambda p: p.token("m", tid=None), "lacks the claim tid"),
    "algorithm none": (unsigned, "must be signed with RS256"),
    "HS256 with the public key": (signed_with_the_public_key, "must be signed with RS256"),
    "claims that were changed": (with_other_claims, "signature is wrong"),
    "signed with another key": (of_another_key, "signature is wrong"),
    "unknown key": (lambda p: p.token("m", kid="unknown"), "does not publish"),
    "no key named": (without_kid, "which key signed it"),
    "no signature": (lambda p: p.token("m").rpartition(".")[0] + ".", "signature is wrong"),
    "a key of a function": (lambda _: "0123456789abcdef", "must be `Bearer` and an access token"),
    "garbage": (lambda _: "a.b.c", "cannot be read"),
    "nested brackets": (lambda _: base64.urlsafe_b64encode(b"[" * 20_000).decode().rstrip("=") + ".e30.e", "be read"),
    "no end": (lambda p: p.token("m") + "A" * 40_000, "must be `Bearer` and an access token"),
    "no text": (lambda _: "čau.čau.čau", "must be `Bearer` and an access token"),
    "empty": (lambda _: "", "must be `Bearer` and an access token"),
}


@pytest.mark.parametrize("name", BAD_TOKENS)
def test_a_token_that_does_not_count_is_refused_with_a_sentence(
    name: str, provider: IdentityProvider, verifier: Verifier
) -> None:
    make, says = BAD_TOKENS[name]
    token = make(provider)
    refusal = refused(verifier, {"Authorization": f"Bearer {token}"})
    assert says in str(refusal)
    assert refusal.headers == {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    assert len(token) < 5 or token not in str(refusal)


@pytest.mark.parametrize("scheme", ["Basic", "SharedAccessKey", ""])
def test_another_scheme_is_refused(scheme: str, provider: IdentityProvider, verifier: Verifier) -> None:
    assert "must be `Bearer`" in str(refused(verifier, {"Authorization": f"{scheme} {provider.token('alice')}"}))


def test_two_headers_are_refused_however_the_host_gives_them(provider: IdentityProvider, verifier: Verifier) -> None:
    alice, bob = (f"Bearer {provider.token(name)}" for name in ("alice", "bob"))
    for headers in ({"Authorization": alice, "authorization": bob}, {"authorization": f"{alice},{bob}"}):
        assert "more than one Authorization header" in str(refused(verifier, headers))


def test_where_no_tenant_is_set_no_token_counts(provider: IdentityProvider) -> None:
    with pytest.raises(NotSignedInError, match="settings name no tenant"):
        signed_in(provider.headers("alice"), None)


# --- keys that change, and a provider that is away ---


def test_keys_are_fetched_once_for_many_tokens(provider: IdentityProvider, verifier: Verifier) -> None:
    for person in ("alice", "bob", "carol"):
        assert signed_in(provider.headers(person), verifier)
    assert len(provider.fetched) == 2, "the OpenID configuration and the keys"


def test_a_new_key_counts_as_soon_as_a_token_names_it(
    provider: IdentityProvider, verifier: Verifier, clock: Clock
) -> None:
    assert signed_in(provider.headers("alice"), verifier)
    provider.keys = ["second"]
    clock.now += 6 * MINUTE
    assert signed_in(provider.headers("alice", kid="second"), verifier)
    assert "does not publish" in str(refused(verifier, provider.headers("alice", kid="first")))


def test_unknown_keys_cause_no_storm(provider: IdentityProvider, verifier: Verifier, clock: Clock) -> None:
    for number in range(50):
        headers = {"Authorization": f"Bearer {jwt.encode({}, private_key('x'), 'RS256', {'kid': str(number)})}"}
        refused(verifier, headers)
    assert len(provider.fetched) == 2
    clock.now += 6 * MINUTE
    for _ in range(50):
        refused(verifier, provider.headers("mallory", kid="unknown"))
    assert len(provider.fetched) == 4


def test_a_key_that_is_withdrawn_counts_no_longer_than_an_hour(
    provider: IdentityProvider, verifier: Verifier, clock: Clock
) -> None:
    assert signed_in(provider.headers("alice"), verifier)
    provider.keys = ["second"]
    clock.now += HOUR
    refused(verifier, provider.headers("alice"))


def test_while_the_provider_is_away_it_is_said_when_to_come_again_and_nobody_is_called_wrong(
    provider: IdentityProvider, verifier: Verifier, clock: Clock
) -> None:
    provider.away = True
    for pause, seconds in ((0, "30"), (10, "20"), (25, "30")):
        clock.now += pause
        with pytest.raises(
            NotAvailableError, match=r"cannot be verified at the moment: .* answers with 500 "
        ) as caught:
            signed_in(provider.headers("alice"), verifier)
        assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": seconds})
    assert len(provider.fetched) == 2, "it is left alone for a while"
    provider.away = False
    clock.now += MINUTE
    assert signed_in(provider.headers("alice"), verifier)


def test_known_keys_count_for_a_day_while_the_provider_is_away(
    provider: IdentityProvider, verifier: Verifier, clock: Clock
) -> None:
    assert signed_in(provider.headers("alice"), verifier)
    provider.away = True
    for _ in range(23):
        clock.now += HOUR
        assert signed_in(provider.headers("alice"), verifier)
    clock.now += HOUR
    with pytest.raises(NotAvailableError):
        signed_in(provider.headers("alice"), verifier)


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"issuer": "https://login.microsoftonline.com/{tenantid}/v2.0"}, "belongs to the issuer"),
        ({"jwks_uri": "http://keys.test/"}, "no trustworthy address of keys"),
        ({"jwks_uri": "file:///etc/passwd"}, "no trustworthy address of keys"),
        ({"jwks_uri": None}, "no trustworthy address of keys"),
    ],
)
def test_a_configuration_of_another_issuer_or_with_untrusted_keys_is_not_believed(
    metadata: dict[str, Any], says: str, provider: IdentityProvider, verifier: Verifier
) -> None:
    provider.metadata = metadata
    with pytest.raises(NotAvailableError, match=says):
        signed_in(provider.headers("alice"), verifier)


def test_a_provider_that_publishes_no_key_is_as_good_as_away(provider: IdentityProvider, verifier: Verifier) -> None:
    provider.keys = []
    with pytest.raises(NotAvailableError, match="has no usable keys"):
        signed_in(provider.headers("alice"), verifier)


# --- settings ---

RIGHT = {TENANT: TENANT_ID, CLIENT_ID: APP}


def test_the_issuer_follows_from_tenant_and_authority() -> None:
    settings = read(AppSettings.read(RIGHT | {AUTHORITY: "https://login.microsoftonline.us/"}))
    assert settings
    assert settings.issuer == f"https://login.microsoftonline.us/{TENANT_ID}/v2.0"
    usual = read(AppSettings.read(RIGHT))
    assert usual
    assert usual.metadata.startswith("https://login.microsoftonline.com/")


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({TENANT: ""}, TENANT),
        ({TENANT: "common"}, TENANT),
        ({TENANT: f"{TENANT_ID}/.."}, TENANT),
        ({CLIENT_ID: ""}, CLIENT_ID),
        ({CLIENT_ID: f"api://{APP}"}, CLIENT_ID),
        ({AUTHORITY: "http://login.test"}, AUTHORITY),
        ({AUTHORITY: "login.test"}, AUTHORITY),
        ({AUTHORITY: "https://login.test/other"}, AUTHORITY),
        ({AUTHORITY: "https://["}, AUTHORITY),
        ({MODE: "requird"}, MODE),
    ],
)
def test_what_is_missing_or_wrong_is_named(changes: dict[str, str], names: str) -> None:
    with pytest.raises(SignInSettingsError, match=rf"^Sign-in does not work.*{names} must be"):
        read(AppSettings.read(RIGHT | changes))


def test_an_app_that_takes_keys_needs_no_tenant_and_any_other_does() -> None:
    assert read(AppSettings.read({MODE: "optional"})) is None
    for mode in ({}, {MODE: ""}, {MODE: "required"}):
        with pytest.raises(SignInSettingsError):
            read(AppSettings.read(mode))


@pytest.mark.parametrize(("mode", "required"), [("optional", False), ("Optional", False), ("off", True), ("", True)])
def test_keys_are_taken_only_where_that_is_set_to_the_letter(mode: str, required: bool) -> None:
    assert is_required(AppSettings.read({MODE: mode})) is required
