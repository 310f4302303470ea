"""Observes everything from outside: the APIs of the app and of Azure ML, the broker, the endpoints, the topic."""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import aiohttp
from azure.servicebus import ServiceBusClient, ServiceBusMessageState, ServiceBusReceiver, ServiceBusSubQueue

from localcloud.testing.eventgrid import Webhook
from shared.cloud.topic import TYPE_PREFIX
from shared.core.awaiting import PROMOTION
from shared.core.queues import all_queues
from tests.chaos import training
from tests.chaos.api import Api
from tests.chaos.people import ENVIRONMENTS, People, content_version
from tests.chaos.world import Deployment, Endpoint, Line, Promotion, Queue, Serving, Told, World, promotion_of
from tests.e2e.azure import Azure, NotAnsweredError, until

#: Seconds in which a container that was killed is up again.
ANSWERS_WITHIN = 25.0
_AT_ONCE = 250
_JOB_ENDED = ("Completed", "Failed", "Canceled")


class Observer:
    """Observes one local cloud while nothing is killed. `models` are those that a route takes."""

    def __init__(self, api: Api, azure: Azure, subscriber: Webhook, connection: str, models: Sequence[str]) -> None:
        self._api = api
        self._azure = azure
        self._subscriber = subscriber
        self._connection = connection
        self._models = models
        self._ended: dict[str, tuple[str, Mapping[str, Any]]] = {}

    async def world(self, people: People) -> World:
        """Everything as it is now. `people`: those who have made requests."""
        found = await self._promotions()
        jobs = await self._azure.jobs("prod")
        made = await self._azure.model_tags("prod", training.AGAIN_MODEL)
        team, operators = people.team, people.operators
        return World(
            registered=await self._registered(),
            promotions=tuple(map(promotion_of, found)),
            serving=await self._serving(found),
            endpoints=(*await self._endpoints(), *await self._batch_endpoints()),
            queues=await self._queues(),
            listed=frozenset([each["id"] async for each in self._api.all("failures?top=200")]),
            requests=tuple(people.requests),
            told=tuple(told_of(each) for each in self._subscriber.events if each["type"].startswith(TYPE_PREFIX)),
            holds=operators.holds,
            noted_holds=tuple(await operators.noted()),
            holds_set=tuple(operators.requests),
            editions=team.editions,
            publications=tuple(await team.history()),
            published=tuple(team.published),
            failing=frozenset(each for each, how in people.bad.items() if how == "faulty"),
            differing=frozenset(each for each, how in people.bad.items() if how == "differs"),
            may_hold=operators.may_hold,
            scheduled=tuple(team.scheduled),
            unfinished=tuple(sorted(name for name, its in jobs.items() if its["status"] not in _JOB_ENDED)),
            made=tuple((f"{training.AGAIN_MODEL} {version}", tags[PROMOTION]) for version, tags in made.items()),
        )

    async def at_rest(self) -> bool:
        """Whether nothing is under way, and every registration has been noticed."""
        known = World(await self._registered(), tuple(map(promotion_of, await self._promotions())))
        # Looking into the queues takes long, so it comes last.
        return known.is_at_rest and replace(known, queues=await self._queues()).is_at_rest

    async def statuses(self) -> Counter[str]:
        """How many promotions have each status."""
        return Counter([each["status"] async for each in self._api.all("promotions?top=200")])

    async def waiting_for_approval(self) -> list[tuple[str, str]]:
        """Promotion and stage."""
        return [
            (each["id"], stage["name"])
            for each in await self._promotions()
            for stage in each["stages"]
            if stage["approval"] and stage["approval"]["status"] == "running"
        ]

    async def half_undone(self) -> list[tuple[Promotion, str]]:
        """Promotions with a stage whose way back did not reach its end."""
        found = map(promotion_of, await self._promotions())
        return [(each, stage.name) for each in found for stage in each.stages if stage.is_half_undone]

    async def _registered(self) -> frozenset[tuple[str, str]]:
        """What a route takes: models of dev, pipelines that completed there, and models that pipelines left in prod."""
        models = [(each, version) for each in self._models for version in await self._azure.versions(each)]
        pipelines = [
            (route, name)
            for route, experiment in training.EXPERIMENTS.items()
            for name in await self._azure.completed(experiment)
        ]
        trained = [(training.MODEL, version) for version in await self._azure.versions(training.MODEL, "prod")]
        return frozenset([*models, *pipelines, *trained])

    async def _promotions(self) -> list[Mapping[str, Any]]:
        """All of them. Those that have not changed since they were last read are not read again."""
        found: list[Mapping[str, Any]] = []
        async for each in self._api.all("promotions?top=200"):
            stamp, known = self._ended.get(each["id"], ("", {}))
            if stamp != each["updated"] or each["status"] in ("running", "queued"):
                known = await self._api.get(f"promotions/{each['id']}")
                self._ended[each["id"]] = (each["updated"], known)
            found.append(known)
        return found

    async def _serving(self, promotions: Sequence[Mapping[str, Any]]) -> tuple[Serving, ...]:
        places = {
            (each["route"], each["model"], stage["name"]): (stage["environment"], stage["endpoint"])
            for each in promotions
            for stage in each["stages"]
        }
        return tuple(
            [
                Serving(
                    lane["route"],
                    lane["model"],
                    stage["name"],
                    *places[lane["route"], lane["model"], stage["name"]],
                    promotion=stage["champion"]["promotion"] if stage["champion"] else None,
                    version=stage["champion"]["version"] if stage["champion"] else None,
                    is_held=stage["hold"] is not None,
                )
                async for lane in self._api.all("routes")
                for stage in lane["stages"]
                if places[lane["route"], lane["model"], stage["name"]][1]  # a pipeline's stage has no endpoint
            ]
        )

    async def _endpoints(self) -> tuple[Endpoint, ...]:
        names = [(each, name) for each in ENVIRONMENTS for name in await self._azure.endpoints(each)]
        return tuple(await asyncio.gather(*(self._endpoint(*each) for each in names)))

    async def _endpoint(self, environment: str, name: str) -> Endpoint:
        versions = await self._azure.deployments(environment, name)
        tags = await self._azure.tags(environment, name)
        traffic = await self._azure.traffic(environment, name) or {}
        deployments = tuple(
            Deployment(each, version, tags[each].get(PROMOTION, ""), tags[each].get("mlpromote.stage", ""))
            for each, version in versions.items()
            if each in tags
        )
        answer = await self._answer(environment, name) if traffic else None
        if answer is None:
            return Endpoint(environment, name, traffic, deployments, None)
        return Endpoint(environment, name, traffic, deployments, content_version(answer), answer["edition"])

    async def _batch_endpoints(self) -> tuple[Endpoint, ...]:
        """As if its default had all of the traffic. None is asked: a job takes long, and its test has asked it."""
        found: list[Endpoint] = []
        for name, default in (await self._azure.batch_defaults("prod")).items():
            there = await self._azure.batch_deployments("prod", name)
            deployments = tuple(
                Deployment(
                    each,
                    str(its["properties"]["model"]["assetId"]).rpartition("/")[2],
                    its["tags"].get(PROMOTION, ""),
                    its["tags"].get("mlpromote.stage", ""),
                )
                for each, its in there.items()
            )
            answers = next((each.version for each in deployments if each.name in default), None)
            found.append(Endpoint("prod", name, dict.fromkeys(default, 100), deployments, answers))
        return tuple(found)

    async def _answer(self, environment: str, name: str) -> Mapping[str, Any] | None:
        """What the endpoint answers. None if no answer comes for a while."""

        async def asked() -> Mapping[str, Any] | None:
            try:
                found: Mapping[str, Any] = await self._azure.answer(environment, name, {"question": "who are you?"})
            except (NotAnsweredError, aiohttp.ClientError):
                return None
            return found

        try:
            return await until(asked, f"{environment}/{name} answers", ANSWERS_WITHIN)
        except AssertionError:
            return None

    async def _queues(self) -> tuple[Queue, ...]:
        """Side by side: it takes the SDK half a second to open each, and as long to close it."""
        looks = (asyncio.to_thread(_queue, self._connection, name) for name in all_queues(ENVIRONMENTS))
        return tuple(await asyncio.gather(*looks))


def told_of(event: Mapping[str, Any]) -> Told:
    """From a CloudEvent of the app."""
    data = event["data"]
    line = Line(data["what"], data["text"], data["stage"] or "", data["step"] or "")
    return Told(data["promotion"]["id"], data["number"], line)


def _queue(connection: str, name: str) -> Queue:
    with (
        ServiceBusClient.from_connection_string(connection) as client,
        client.get_queue_receiver(name) as receiver,
        client.get_queue_receiver(name, sub_queue=ServiceBusSubQueue.DEAD_LETTER) as dead,
    ):
        active, letters = _peeked(receiver), _peeked(dead)
    states = Counter(message.state for message in active)
    scheduled = states.pop(ServiceBusMessageState.SCHEDULED, 0)
    numbers = frozenset(f"{name}:{message.sequence_number}" for message in letters)
    bundles = frozenset(filter(None, map(_bundle_in, (*active, *letters))))
    return Queue(name, states.total(), scheduled, numbers, bundles)


def _bundle_in(message: Any) -> str:
    """The digest of the bundle that a command names; empty for other messages."""
    try:
        content = json.loads(str(message))
    except ValueError:
        return ""  # garbage, which somebody else has sent
    return str(content.get("bundle") or "") if isinstance(content, dict) else ""


def _peeked(receiver: ServiceBusReceiver) -> list[Any]:
    found: list[Any] = []
    while page := receiver.peek_messages(_AT_ONCE, sequence_number=found[-1].sequence_number + 1 if found else 1):
        found += page
    return found
