"""Who somebody is, through the real host with its keys, its people and its part of App Service authentication."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from localcloud.up import LocalCloud
from tests.functions.conftest import ALICE
from tests.functions.running import describe


class Caller:
    """Asks the app that runs."""

    def __init__(self, addresses: dict[str, Any], session: aiohttp.ClientSession) -> None:
        self._url = addresses["functions"]["url"] + "/api/"
        self._session = session
        self.key = {"x-functions-key": addresses["functions"]["keys"]["default"]}
        self.people = {
            name: {"Authorization": f"Bearer {person['token']}"} for name, person in addresses["people"].items()
        }

    async def ask(self, method: str, address: str, headers: dict[str, str], **body: str) -> tuple[int, Any]:
        """The status, and the body if it is JSON."""
        async with self._session.request(method, self._url + address, headers=headers, json=body or None) as response:
            kind = response.content_type
            return response.status, await response.json(content_type=kind) if kind.endswith("json") else None


@pytest_asyncio.fixture(params=["", "required"], scope="module", loop_scope="module")
async def cloud(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalCloud]:
    """With keys; and with the setting by which everybody has to sign in instead."""
    description = describe(MLPROMOTE_SIGN_IN=request.param)
    async with LocalCloud(description, tmp_path_factory.mktemp("cloud") / "data") as one:
        yield one


@pytest.mark.asyncio(loop_scope="module")
async def test_who_may_come_in_and_what_they_may_do(cloud: LocalCloud) -> None:
    required = cloud.layout.app_settings()["MLPROMOTE_SIGN_IN"] == "required"
    start = {"model": "digits", "version": "1", "reason": "to see"}
    async with aiohttp.ClientSession() as session:
        caller = Caller(cloud.addresses, session)
        key, alice, bob = caller.key, caller.people["alice"], caller.people["bob"]

        assert (await caller.ask("GET", "promotions", {}))[0] == 401
        assert (await caller.ask("GET", "promotions", {"Authorization": "Bearer made-up"}))[0] == 401
        assert (await caller.ask("GET", "promotions", ALICE))[0] == 401, "the platform drops forged headers"
        assert (await caller.ask("GET", "promotions", alice))[0] == (200 if required else 401)
        assert (await caller.ask("GET", "promotions", key))[0] == (401 if required else 200)
        assert (await caller.ask("GET", "promotions", key | alice))[0] == 200

        assert (await caller.ask("POST", "promotions", key | bob, **start))[0] == (403 if required else 202)
        status, promotion = await caller.ask("POST", "promotions", key | alice, **start)
        assert (status, promotion["requestedBy"]) == (202, "alice")
        cancel = f"promotions/{promotion['id']}/cancel"
        assert (await caller.ask("POST", cancel, key | ALICE, reason="forged"))[0] == (401 if required else 403)
        assert (await caller.ask("POST", cancel, key | bob, reason="no role"))[0] == 403
        assert (await caller.ask("POST", cancel, key | alice, reason="enough"))[0] in (202, 409)


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
    assert problem["detail"].startswith("No a b+c%d?e has come along route digits.")
