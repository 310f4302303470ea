"""One app per environment, where everybody has to sign in: nothing that a worker has gives it rights elsewhere. Whoever
has taken over a worker has its keys to the Functions host, and its identity, which gets tokens.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio

from localcloud.up import Description
from shared.config.sign_in import MODE
from shared.http.authorisation import OPERATOR
from tests.e2e.conftest import Cloud, describe
from tests.e2e.queue_rights import NAMES, SHARED_ACCESS
from tests.e2e.worker_apps import WorkerApps
from tests.functions.conftest import FORGED
from tests.signing_in import bearer

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def description() -> Description:
    described = describe(
        "tests/e2e/apart/promotion.yml",
        *NAMES,
        shared_access=SHARED_ACCESS,
        people={"alice": {"roles": [OPERATOR]}, "dora": {}},
    )
    assert described.app is not None
    own = {MODE: "required", "MLPROMOTE_ROLES": "coordinator", "ServiceBus": "{servicebus_connection_coordinator}"}
    settings = described.app.settings | own
    return described.model_copy(update={"app": described.app.model_copy(update={"settings": settings})})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def workers(cloud: Cloud) -> AsyncIterator[WorkerApps]:
    apps = WorkerApps(cloud.parts, cloud.parts.layout.data / "workers")
    try:
        await apps.start("test", environment="test", identity="test")
        yield apps
    finally:
        await apps.stop_all()


async def ask(cloud: Cloud, url: str, headers: Mapping[str, str]) -> tuple[int, str]:
    """The status, and what is wrong."""
    async with cloud.http.get(url, headers=headers) as answer:
        problem: Any = await answer.json(content_type=None)
        return answer.status, problem.get("detail", "")


async def token_of_the_worker(cloud: Cloud, resource: str) -> dict[str, str]:
    """The token that its identity gets for a resource."""
    identity = cloud.parts.addresses["identity"]
    query = {"api-version": "2019-08-01", "resource": resource, "client_id": identity["client_ids"]["test"]}
    headers = {"X-IDENTITY-HEADER": identity["header"]}
    async with cloud.http.get(identity["endpoint"], params=query, headers=headers) as answer:
        return {"Authorization": f"Bearer {(await answer.json())['access_token']}"}


async def test_no_app_takes_what_a_worker_has_for_somebody(cloud: Cloud, workers: WorkerApps) -> None:
    addresses = cloud.parts.addresses
    keys = addresses["functions"]["keys"]
    of_the_app = await token_of_the_worker(cloud, addresses["sign_in"]["resource"])
    of_azure = await token_of_the_worker(cloud, "https://management.azure.com")
    for url in (f"{addresses['functions']['url']}/api/promotions", f"{workers.url('test')}/health"):
        tried = {
            "nothing": await ask(cloud, url, {}),
            "the master key": await ask(cloud, url, {"x-functions-key": keys["master"]}),
            "a forged header": await ask(cloud, url, {"x-functions-key": keys["default"]} | FORGED),
            "its token for Azure": await ask(cloud, url, of_azure),
            "its token for the app": await ask(cloud, url, of_the_app),
            "the token of a member without a role": await ask(cloud, url, bearer(addresses, "dora")),
            "the token of an operator": await ask(cloud, url, bearer(addresses, "alice")),
        }
        assert {name: status for name, (status, _) in tried.items()} == {
            "nothing": 401,
            "the master key": 401,
            "a forged header": 401,
            "its token for Azure": 401,
            "its token for the app": 403,
            "the token of a member without a role": 403,
            "the token of an operator": 200,
        }, tried
        assert tried["its token for Azure"][1] == "The token must be signed with RS256."
        assert tried["its token for the app"][1].startswith("test needs the role Promotion.")
