"""Who somebody is, through the real host with its keys, and with tokens that the local cloud's identity part signs."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from localcloud.up import LocalCloud
from tests.functions.conftest import FORGED
from tests.functions.running import describe
from tests.signing_in import bearer


class Caller:
    """Asks the app that runs."""

    def __init__(self, addresses: dict[str, Any], session: aiohttp.ClientSession) -> None:
        self._url = addresses["functions"]["url"] + "/api/"
        self._session = session
        self.key = {"x-functions-key": addresses["functions"]["keys"]["default"]}
        self.people = {name: bearer(addresses, name) for name in addresses["people"]}

    async def ask(
        self, method: str, address: str, headers: dict[str, str] | list[tuple[str, str]], **body: str
    ) -> tuple[int, Any]:
        """The status, and the body if it is JSON."""
        async with self._session.request(method, self._url + address, headers=headers, json=body or None) as response:
            kind = response.content_type
            return response.status, await response.json(content_type=kind) if kind.endswith("json") else None


@pytest_asyncio.fixture(params=["optional", "required"], scope="module", loop_scope="module")
async def cloud(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalCloud]:
    """With keys, and with the setting that makes everybody sign in instead."""
    description = describe(MLPROMOTE_SIGN_IN=request.param)
    async with LocalCloud(description, tmp_path_factory.mktemp("cloud") / "data") as one:
        yield one


def with_other_claims(header: dict[str, str], **claims: object) -> dict[str, str]:
    """The token with other claims and its old signature."""
    head, body, signature = header["Authorization"].split(".")
    content = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    changed = base64.urlsafe_b64encode(json.dumps(content | claims).encode()).decode().rstrip("=")
    return {"Authorization": f"{head}.{changed}.{signature}"}


@pytest.mark.asyncio(loop_scope="module")
async def test_who_is_admitted_and_what_they_may_do(cloud: LocalCloud) -> None:
    required = cloud.layout.app_settings()["MLPROMOTE_SIGN_IN"] == "required"
    start = {"model": "digits", "version": "1", "reason": "to see"}
    async with aiohttp.ClientSession() as session:
        caller = Caller(cloud.addresses, session)
        key, alice, bob, dora = caller.key, *(caller.people[name] for name in ("alice", "bob", "dora"))

        assert (await caller.ask("GET", "promotions", {}))[0] == 401
        assert (await caller.ask("GET", "promotions", FORGED))[0] == 401
        assert (await caller.ask("GET", "promotions", alice))[0] == (200 if required else 401)
        assert (await caller.ask("GET", "promotions", key))[0] == (401 if required else 200)
        assert (await caller.ask("GET", "promotions", key | alice))[0] == 200
        assert (await caller.ask("GET", "promotions", key | dora))[0] == 403, "has no role"

        assert (await caller.ask("POST", "promotions", key | bob, **start))[0] == 403
        status, promotion = await caller.ask("POST", "promotions", key | alice, **start)
        assert (status, promotion["requested_by"]) == (202, "alice")
        cancel = f"promotions/{promotion['id']}/cancel"
        assert (await caller.ask("POST", cancel, key | FORGED, reason="forged"))[0] == (401 if required else 403)
        assert (await caller.ask("POST", cancel, key | bob, reason="no role"))[0] == 403
        assert (await caller.ask("POST", cancel, key | alice, reason="enough"))[0] in (202, 409)


@pytest.mark.asyncio(loop_scope="module")
async def test_tokens_that_do_not_count_are_refused_with_a_sentence(cloud: LocalCloud) -> None:
    async with aiohttp.ClientSession() as session:
        caller = Caller(cloud.addresses, session)
        alice, dora = caller.people["alice"], caller.people["dora"]
        two = [*caller.key.items(), *alice.items(), *dora.items()]
        wrong: dict[str, dict[str, str] | list[tuple[str, str]]] = {
            "must be `Bearer`": caller.key | {"Authorization": "Bearer made-up"},
            "signature is wrong": caller.key | with_other_claims(dora, roles=["Promotion.Operator"]),
            "more than one Authorization header": two,
        }
        for says, headers in wrong.items():
            status, problem = await caller.ask("GET", "promotions", headers)
            assert (status, says in problem["detail"]) == (401, True), problem


@pytest.mark.asyncio(loop_scope="module")
async def test_names_in_the_address_come_through_the_host_as_they_are(cloud: LocalCloud) -> None:
    async with aiohttp.ClientSession() as session:
        caller = Caller(cloud.addresses, session)
        status, problem = await caller.ask(
            "POST",
            "routes/digits/a%20b%2Bc%25d%3Fe/stages/test/release",
            caller.key | caller.people["alice"],
            reason="x",
        )
    assert status == 404
    assert problem["detail"].startswith("No a b+c%d?e has been promoted along route digits.")
