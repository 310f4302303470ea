"""One app per environment, where prod takes its approvals in its own app: what a compromised coordinator cannot do.

The attacker has the key to every queue, reads the coordinator's API, and forges anything.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient

from localcloud.up import Description
from shared.cloud.sqlite import SqliteStore
from shared.core.approval import APPROVE
from shared.core.commands import due
from shared.core.lane import decide
from shared.core.message_bodies import encode
from shared.core.messages import MAY_ACT_FOR, LaneKey, RunStep, Succeeded
from shared.core.queues import all_queues
from shared.core.replacing import replace
from tests.core.world import answer
from tests.e2e.azure import until
from tests.e2e.conftest import Cloud, describe
from tests.e2e.queue_rights import SHARED_ACCESS
from tests.e2e.worker_apps import WorkerApps
from tests.signing_in import bearer

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMES = ("dev", "prod")
PEOPLE = {name: {"roles": ["Promotion.Approver"]} for name in ("alice", "bob")}


@pytest.fixture(scope="module")
def description() -> Description:
    """The coordinator uses no identity of an environment. alice registers all models, and may approve like bob."""
    queues = set(all_queues(NAMES))
    access = {
        app: {right: [queue for queue in given if queue in queues] for right, given in rights.items()}
        for app, rights in SHARED_ACCESS.items()
        if app in ("coordinator", *(f"worker-{name}" for name in NAMES))
    }
    file = "tests/e2e/own_approvals/promotion.yml"
    described = describe(file, *NAMES, shared_access=access, people=PEOPLE)
    assert described.app is not None
    unknown = {f"{name.upper()}_IDENTITY": "00000000-0000-0000-0000-000000000000" for name in NAMES}
    own = {"MLPROMOTE_ROLES": "coordinator", "ServiceBus": "{servicebus_connection_coordinator}"}
    settings = described.app.settings | unknown | own
    return described.model_copy(update={"app": described.app.model_copy(update={"settings": settings})})


class Prod:
    """Prod's own app, for people."""

    def __init__(self, cloud: Cloud, workers: WorkerApps) -> None:
        self._cloud = cloud
        self._workers = workers

    async def ask(self, method: str, path: str, person: str, **body: str) -> tuple[int, Any]:
        url = f"{self._workers.url('prod')}/approvals{path}"
        headers = await asyncio.to_thread(bearer, self._cloud.parts.addresses, person)
        async with self._cloud.http.request(method, url, headers=headers, json=body or None) as answer:
            return answer.status, json.loads(await answer.text())

    async def asks_about(self, model: str) -> Mapping[str, Any]:
        """Its request for approval of a model, once there is one."""

        async def look() -> Mapping[str, Any] | None:
            try:
                _, found = await self.ask("GET", "", "bob")
            except aiohttp.ClientError:
                return None
            return next((each for each in found.get("value", ()) if each["model"] == model), None)

        return await until(look, f"prod asks about {model}")

    async def decide(self, decision: str, request: Mapping[str, Any], person: str) -> int:
        path = f"/{request['promotion']}/{request['stage']}/{decision}"
        status, _ = await self.ask("POST", path, person, reason="seen", evidence=request["evidence"])
        return status


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def workers(cloud: Cloud) -> AsyncIterator[WorkerApps]:
    data = cloud.parts.layout.data / "workers"
    apps = WorkerApps(cloud.parts, data)
    own = {"MLPROMOTE_STORE": str(data / "prod.sqlite")}
    try:
        await apps.start("dev", environment="dev", identity="dev")
        await apps.start("prod", environment="prod", identity="prod", more=own)
        yield apps
    finally:
        await apps.stop_all()


@pytest.fixture
def prod(cloud: Cloud, workers: WorkerApps) -> Prod:
    return Prod(cloud, workers)


async def test_prod_serves_what_somebody_else_than_the_author_approved_in_its_own_app(
    cloud: Cloud, prod: Prod, workers: WorkerApps
) -> None:
    assert "approve_here" in await workers.functions("prod")
    assert "start_promotion" not in await workers.functions("prod")
    await cloud.azure.register("open-together", "1")
    request = await prod.asks_about("open-together")
    assert "../tiny/scoring/score.py" in request["shown"]["manifest"]["files"]
    assert await prod.decide("approve", request, "alice") == 403, "she has registered it"
    assert await nothing_is_in_prod(cloud, "open-together")
    assert await prod.decide("approve", request, "bob") == 202
    await cloud.promotions.succeeded("open-together")
    assert await cloud.azure.only_deployment("prod", "open-together") == "1"


async def test_one_rejection_in_prods_own_app_ends_it(cloud: Cloud, prod: Prod) -> None:
    await cloud.azure.register("open-rejected", "1")
    request = await prod.asks_about("open-rejected")
    assert await prod.decide("reject", request, "alice") == 202
    ended = await cloud.promotions.ended("open-rejected")
    assert (ended["status"], ended["reason"]) == ("rejected", "prod: rejected by alice: seen")
    assert await nothing_is_in_prod(cloud, "open-rejected")


async def test_the_coordinator_takes_no_approval_for_prod(cloud: Cloud, prod: Prod) -> None:
    await cloud.azure.register("open-asked", "1")
    request = await prod.asks_about("open-asked")
    address = f"{cloud.parts.addresses['functions']['url']}/api/promotions/{request['promotion']}/approve"
    headers = {
        "x-functions-key": cloud.parts.addresses["functions"]["keys"]["default"],
        **await asyncio.to_thread(bearer, cloud.parts.addresses, "bob"),
    }
    async with cloud.http.post(address, headers=headers, json={"reason": "here"}) as answer:
        refused = await answer.json(content_type=None)
    assert (answer.status, refused["elsewhere"]) == (409, {"stage": "prod", "environment": "prod"})


@pytest.mark.parametrize("claimed", [False, True], ids=["skipped", "claimed"])
async def test_a_command_that_skips_or_claims_the_approval_deploys_nothing(
    cloud: Cloud, prod: Prod, workers: WorkerApps, claimed: bool
) -> None:
    model = f"open-{'claimed' if claimed else 'skipped'}"
    await cloud.azure.register(model, "1")
    await prod.asks_about(model)
    command = await deploying(cloud, model)
    if claimed:
        given = [{"id": "id-of-bob", "name": "bob", "at": "2026-11-20T12:00:00+00:00", "reason": "fine"}]
        digest = command.evidence["validate"]["manifest"]["digest"]
        command = replace(command, evidence={**command.evidence, "approve": {"on": digest, "given": given}})
    await run(cloud, workers, command)
    assert await nothing_is_in_prod(cloud, model)


async def test_after_bob_approved_the_good_one_prod_never_serves_the_evil_one(
    cloud: Cloud, prod: Prod, workers: WorkerApps
) -> None:
    for model in ("open-good", "open-evil"):
        await cloud.azure.register(model, "1")
        await prod.asks_about(model)
    good, evil = await deploying(cloud, "open-good"), await deploying(cloud, "open-evil")
    assert await prod.decide("approve", await prod.asks_about("open-good"), "bob") == 202
    await cloud.promotions.succeeded("open-good")
    onto_the_good_endpoint = with_stage(evil, endpoint="open-good")
    softened = with_stage(evil, smoke=None, approval=None)
    forged_share = {**evil.evidence["share"], "registry_model": good.evidence["share"]["registry_model"]}
    for number, command in enumerate(
        (
            replace(evil, promotion=good.promotion),
            replace(evil, promotion=good.promotion, settings=onto_the_good_endpoint),
            replace(evil, promotion=good.promotion, settings=softened),
            replace(evil, promotion=good.promotion, evidence=good.evidence),
            replace(evil, promotion=good.promotion, evidence={**evil.evidence, "share": forged_share}),
            replace(evil, promotion=good.promotion, evidence={**evil.evidence, "validate": good.evidence["validate"]}),
        )
    ):
        await run(cloud, workers, replace(command, attempt=100 + number))
    assert await nothing_is_in_prod(cloud, "open-evil")
    assert await cloud.azure.only_deployment("prod", "open-good") == "1"
    [(_, served)] = (await cloud.azure.models("prod", "open-good")).items()
    assert "/models/open-good/" in served


async def test_other_files_than_those_of_the_approval_are_not_deployed_either(
    cloud: Cloud, prod: Prod, workers: WorkerApps
) -> None:
    await cloud.azure.register("open-other", "1")
    request = await prod.asks_about("open-other")
    command = await deploying(cloud, "open-other")
    assert await prod.decide("approve", request, "bob") == 202
    await cloud.promotions.succeeded("open-other")
    other = with_stage(command, endpoint="open-other-2", deployment="../tiny/unparsable.yml")
    await run(cloud, workers, replace(command, settings=other, attempt=7))
    assert await nothing_is_in_prod(cloud, "open-other-2")


async def deploying(cloud: Cloud, model: str) -> RunStep:
    """The command to deploy a model as the coordinator would send it if prod's worker said that it was approved."""
    key = LaneKey("open", model)

    async def look() -> RunStep | None:
        lane, _ = await asyncio.to_thread(store_of(cloud).load, key, None)
        return next((command for command in due(lane) if command.step == APPROVE), None)

    asked = await until(look, f"{model} waits for approval")
    lane, _ = await asyncio.to_thread(store_of(cloud).load, key, asked.promotion)
    [command] = due(decide(lane, answer(asked, Succeeded()), datetime.now(UTC)).lane)
    assert command.step == "deploy"
    evidence = {step: seen for step, seen in command.evidence.items() if step != APPROVE}
    return replace(command, evidence=evidence)


def with_stage(command: RunStep, **changes: Any) -> dict[str, Any]:
    """The command's settings, with some of its stage's changed."""
    return {**command.settings, "stage": {**command.settings["stage"], **changes}}


def store_of(cloud: Cloud) -> SqliteStore:
    """The coordinator's."""
    return SqliteStore(cloud.parts.layout.data / "promotions.sqlite")


async def run(cloud: Cloud, workers: WorkerApps, command: RunStep) -> None:
    """Make prod's worker run a forged command to its end. It is sent as a current one, whenever it was made."""
    now = datetime.now(UTC)
    command = replace(command, not_before=now, not_after=now + MAY_ACT_FOR)

    def ends() -> int:
        # It succeeds where it names the deployment that is there already, which it leaves as it is.
        return len(re.findall(rf"{command.promotion} prod\.deploy: (Failed|Succeeded)", workers.log("prod")))

    before = ends()
    async with (
        ServiceBusClient.from_connection_string(cloud.parts.layout.connection_string) as client,
        client.get_queue_sender("steps-prod") as sender,
    ):
        await sender.send_messages(ServiceBusMessage(encode(command), message_id=f"forged-{now}"))

    async def ran() -> bool:
        return ends() > before

    await until(ran, f"prod has run the forged command for {command.promotion}")


async def nothing_is_in_prod(cloud: Cloud, endpoint: str) -> bool:
    return await cloud.azure.traffic("prod", endpoint) is None and not await cloud.azure.deployments("prod", endpoint)
