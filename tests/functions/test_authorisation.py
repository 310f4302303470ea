"""Who may do what: each operation with nobody, a key, and people of every role."""

from collections.abc import Mapping
from itertools import product

import pytest

from shared.config.roles import Roles
from shared.config.sign_in import MODE
from shared.core.replacing import replace
from tests.fakes.identity_provider import IdentityProvider
from tests.fakes.queues import FakeQueues
from tests.functions.conftest import ALICE, BOB, FORGED, ISSUER, KEYS_COUNT_TOO, Api, http_functions, key_levels

#: Where Event Grid delivers.
EVENTS = "events"

DORA = ISSUER.headers("dora")
RUTH = ISSUER.headers("ruth", "Promotion.Reader")
EXPIRED = ISSUER.headers("alice", "Promotion.Operator", exp=1)
PEOPLE = {"nobody": {}, "dora": DORA, "ruth": RUTH, "bob": BOB, "alice": ALICE}

READS = ("promotions", "promotions/none", "promotions/none/trace", "routes", "failures", "openapi.json")
STEERS = (
    *(f"promotions/none/{action}" for action in ("cancel", "roll-back", "retry")),
    "routes/churn/none/stages/test/release",
    "failures/replay",
)
DECIDES = ("promotions/none/approve", "promotions/none/reject")

#: Who passes authorisation, for each operation, if everybody has to sign in.
ALLOWED = {
    "read": (READS, {"ruth", "bob", "alice"}),
    "start": (("promotions", "routes/churn/stages/test/run"), {"alice"}),
    "inspect": (("health",), {"alice"}),
    "steer": (STEERS, {"alice"}),
    "decide": (DECIDES, {"ruth", "bob", "alice"}),
}
CASES = [(operation, address) for operation, (addresses, _) in ALLOWED.items() for address in addresses]


@pytest.fixture(autouse=True)
def elsewhere(api: Api, queues: FakeQueues) -> None:
    """The app's health check finds no environment, since its workspace would be in Azure."""
    api.app.dead_letters = queues
    api.app.health = replace(api.app.health, roles=Roles(coordinator=False, environments=()))


def ask(api: Api, operation: str, address: str, headers: Mapping[str, str]) -> tuple[int, str]:
    """The status and the detail. The bodies are empty, so that requests that pass have no effect."""
    answer = api.get(address, headers) if operation in ("read", "inspect") else api.post(address, {}, headers)
    return answer.status, answer.body.get("detail", "")


class TestWhereSigningInIsRequired:
    """As on Azure."""

    @pytest.fixture(params=[{MODE: "required"}, {MODE: ""}, {}], ids=["required", "empty", "left out"])
    def settings(self, request: pytest.FixtureRequest) -> dict[str, str]:
        settings: dict[str, str] = IdentityProvider().settings | request.param
        return settings

    def test_each_operation_takes_its_role(self, api: Api) -> None:
        for (operation, address), (name, headers) in product(CASES, PEOPLE.items()):
            status, detail = ask(api, operation, address, headers)
            if name == "nobody":
                assert (status, detail) == (401, "Sign in: this app does not accept function keys.")
            elif name in ALLOWED[operation][1]:
                assert status not in (401, 403), f"{name} at {address}: {detail}"
            else:
                assert status == 403
                assert detail.startswith(f"{name} needs the role Promotion.")

    def test_a_member_without_a_role_is_told_which_one_lets_them_read(self, api: Api) -> None:
        assert ask(api, "read", "promotions", DORA) == (
            403,
            "dora needs the role Promotion.Reader or Promotion.Operator or Promotion.Approver to see this.",
        )

    def test_no_function_of_the_api_is_open(self, api: Api) -> None:
        people = [each for each in http_functions() if each[0] != EVENTS]
        assert len(people) == len(http_functions()) - 1
        for route, methods, _ in people:
            address = route.replace("{", "").replace("}", "")
            for method in methods:
                content = b"" if method == "GET" else b"{}"
                answer = api.ask(method, address, content)
                assert (answer.status, answer.body["title"]) == (401, "Not signed in"), f"{method} {route}"
                assert answer.headers["WWW-Authenticate"] == "Bearer"

    def test_events_take_a_key_for_whoever_delivers_them_cannot_sign_in(self, api: Api) -> None:
        assert key_levels()[EVENTS] == "FUNCTION"

    def test_the_header_that_app_service_would_write_changes_nothing(self, api: Api) -> None:
        assert ask(api, "read", "promotions", FORGED)[0] == 401
        assert ask(api, "start", "promotions", FORGED)[0] == 401
        assert ask(api, "read", "promotions", DORA | FORGED)[0] == 403

    def test_a_token_that_does_not_count_is_said_to_be_so(self, api: Api) -> None:
        answer = api.get("promotions", EXPIRED)
        assert (answer.status, answer.body["detail"]) == (401, "The token has expired. Sign in again.")
        assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


class TestWhereAKeyIsEnough:
    """As on one machine. No host checks keys here: whoever comes without a token counts as having shown a key."""

    def test_a_key_alone_may_read_start_and_inspect(self, api: Api) -> None:
        for operation, address in CASES:
            status, detail = ask(api, operation, address, {})
            if operation in ("read", "start", "inspect"):
                assert status not in (401, 403), address
            else:
                assert (status, detail) == (403, "Sign in: a function key alone allows only reading and starting.")

    def test_who_has_signed_in_is_judged_by_the_roles_all_the_same(self, api: Api) -> None:
        for (operation, address), name in product(CASES, ("dora", "ruth", "bob", "alice")):
            may = ask(api, operation, address, PEOPLE[name])[0] not in (401, 403)
            assert may is (name in ALLOWED[operation][1]), f"{name} at {address}"

    def test_a_token_that_does_not_count_is_refused_and_not_passed_over(self, api: Api) -> None:
        assert ask(api, "read", "promotions", EXPIRED)[0] == 401

    def test_the_header_that_app_service_would_write_makes_nobody_of_anybody(self, api: Api) -> None:
        promotion = api.start("1", FORGED)
        assert api.get(f"promotions/{promotion}").body["requested_by"] == "function key"
        assert ask(api, "steer", f"promotions/{promotion}/cancel", FORGED)[0] == 403


class TestWhereAppServiceIsSaidToAuthenticate:
    """Anybody can set that and nobody can check it, so it has no effect."""

    @pytest.fixture(params=["optional", "required"])
    def settings(self, request: pytest.FixtureRequest) -> dict[str, str]:
        return IdentityProvider().settings | {MODE: request.param, "WEBSITE_AUTH_ENABLED": "True"}

    def test_a_forged_header_makes_no_operator(self, api: Api, settings: dict[str, str]) -> None:
        refused = 401 if settings[MODE] == "required" else 403
        promotion = api.start("1", ALICE)
        for operation, address in (("steer", f"promotions/{promotion}/cancel"), ("steer", "failures/replay")):
            assert ask(api, operation, address, FORGED)[0] == refused
        assert api.get(f"promotions/{promotion}", ALICE).body["status"] == "running"


class TestWhereTheSettingsOfSignInAreWrong:
    """Nobody gets in with a token; keys still work."""

    @pytest.fixture(params=["optional", "required"])
    def settings(self, request: pytest.FixtureRequest) -> dict[str, str]:
        return {"MLPROMOTE_SIGN_IN_TENANT": "contoso", "MLPROMOTE_SIGN_IN": request.param}

    @pytest.fixture
    def api(self, unverified_api: Api) -> Api:
        return unverified_api

    def test_it_is_said_which_settings(self, api: Api, settings: dict[str, str]) -> None:
        status, detail = ask(api, "read", "promotions", ALICE)
        assert status == 503
        assert detail.startswith(
            "Sign-in does not work, because settings are missing or wrong: MLPROMOTE_SIGN_IN_TENANT"
        )
        assert "MLPROMOTE_SIGN_IN_CLIENT_ID must be" in detail
        with_a_key = ask(api, "read", "promotions", {})[0]
        assert with_a_key == (200 if settings["MLPROMOTE_SIGN_IN"] == "optional" else 503)


class TestWhereNobodyCanSignIn:
    """The settings name no tenant, and keys are accepted."""

    @pytest.fixture
    def settings(self) -> dict[str, str]:
        return {MODE: KEYS_COUNT_TOO[MODE]}

    @pytest.fixture
    def api(self, unverified_api: Api) -> Api:
        return unverified_api

    def test_a_token_is_refused_with_a_sentence(self, api: Api) -> None:
        status, detail = ask(api, "read", "promotions", ALICE)
        assert (status, detail) == (401, "Sign-in is not configured: the app's settings name no tenant.")
        assert ask(api, "read", "promotions", {})[0] == 200


class TestWhereTheIdentityProviderIsAway:
    """Nobody who may be right is called wrong."""

    @pytest.fixture
    def settings(self) -> dict[str, str]:
        return IdentityProvider().settings | {"MLPROMOTE_SIGN_IN_AUTHORITY": "http://127.0.0.1:9"}

    @pytest.fixture
    def api(self, unverified_api: Api) -> Api:
        return unverified_api

    def test_callers_are_told_when_to_try_again(self, api: Api) -> None:
        answer = api.get("promotions", ALICE)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "30")
        assert "cannot be verified at the moment" in answer.body["detail"]
