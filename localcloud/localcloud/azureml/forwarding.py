"""Passes a request on to a deployment's container, and makes of its answer what Azure answers with."""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp

from localcloud.azureml.compute.servers import ContainerCrashed, InferenceServers
from localcloud.azureml.deployments import Deployments
from localcloud.azureml.store import Resource

#: The header that chooses a deployment, and in answers tells which one it was.
CHOSEN = "azureml-model-deployment"
#: The id of a request, by which what is collected of it can be found.
REQUEST_ID = "x-ms-request-id"
_DURATION = re.compile(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?")


@dataclass(frozen=True)
class ScoringRequest:
    """What a container gets."""

    id: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class ScoringAnswer:
    """What the caller gets."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    milliseconds: float
    #: What the model's container answered; None if it did not.
    model_status: int | None = None


@dataclass(frozen=True)
class _Reply:
    status: int
    body: bytes
    model_status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Forwarding:
    def __init__(self, deployments: Deployments, servers: InferenceServers) -> None:
        self._deployments = deployments
        self._servers = servers
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        self._session = aiohttp.ClientSession()

    async def close(self) -> None:
        if self._session:
            await self._session.close()

    async def send(self, deployment: Resource, request: ScoringRequest) -> ScoringAnswer:
        """The answer of the deployment, or Azure's words for why there is none."""
        began = time.perf_counter()
        await self._deployments.is_back(deployment.path)
        try:
            reply = await self._reply(deployment, request)
        except TimeoutError:
            reply = _refusal(408, "The request timed out.")
        except (ContainerCrashed, KeyError, aiohttp.ClientError):
            reply = _refusal(503, "The container is not ready.")
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            **reply.headers,
            CHOSEN: deployment.name,
            REQUEST_ID: request.id,
        }
        milliseconds = (time.perf_counter() - began) * 1000
        return ScoringAnswer(reply.status, reply.body, headers, milliseconds, reply.model_status)

    async def _reply(self, deployment: Resource, request: ScoringRequest) -> _Reply:
        assert self._session is not None
        async with self._session.request(
            request.method,
            f"{self._servers.address(deployment.path.lower())}/{request.path}",
            params=request.query,
            data=request.body,
            headers={**request.headers, REQUEST_ID: request.id},
            timeout=aiohttp.ClientTimeout(total=_timeout(deployment)),
        ) as answer:
            body = await answer.read()
            headers = {"Content-Type": answer.headers.get("Content-Type", "application/json")}
            if answer.status == 200:
                return _Reply(200, body, 200, headers)
            # As the real one: whatever the container answered but 200 is a 424 with the reason in headers.
            headers["ms-azureml-model-error-statuscode"] = str(answer.status)
            headers["ms-azureml-model-error-reason"] = answer.reason or "model error"
            return _Reply(424, body, answer.status, headers)


def _refusal(status: int, message: str) -> _Reply:
    return _Reply(status, json.dumps({"message": message}).encode())


def _timeout(deployment: Resource) -> float:
    """Seconds, from `requestSettings.requestTimeout`, an ISO 8601 duration."""
    found = _DURATION.fullmatch(str((deployment.properties.get("requestSettings") or {}).get("requestTimeout")))
    hours, minutes, seconds = found.groups() if found else (None, None, "5")
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds or 0)
