"""The scoring route of the endpoints: checks the key, picks a deployment by weight or header, passes requests on."""

import random
import re

import aiohttp
from aiohttp import web

from localcloud.azureml.compute.servers import ContainerCrashed, InferenceServers
from localcloud.azureml.deployments import Deployments
from localcloud.azureml.scopes import Scopes
from localcloud.azureml.store import Resource, Store
from localcloud.http_server import is_secret

PASSED_ON = ("Content-Type", "x-ms-client-request-id")
CHOSEN = "azureml-model-deployment"
_DURATION = re.compile(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?")


class Scoring:
    """Serves `/scoring/WORKSPACE/ENDPOINT/score` (and `swagger.json`) in place of the endpoint's own host."""

    def __init__(self, store: Store, scopes: Scopes, deployments: Deployments, servers: InferenceServers) -> None:
        self._store = store
        self._scopes = scopes
        self._deployments = deployments
        self._servers = servers
        self._session: aiohttp.ClientSession | None = None

    def routes(self) -> list[web.RouteDef]:
        return [web.route("*", "/scoring/{workspace}/{endpoint}/{path:score|swagger.json}", self._score)]

    async def start(self) -> None:
        self._session = aiohttp.ClientSession()

    async def close(self) -> None:
        if self._session:
            await self._session.close()

    async def _score(self, request: web.Request) -> web.Response:
        workspace = self._scopes.workspace(request.match_info["workspace"])
        path = f"{workspace.path}/onlineEndpoints/{request.match_info['endpoint']}" if workspace else ""
        endpoint = self._store.get(path) if path else None
        if not endpoint:
            return web.json_response({"message": "There is no such endpoint."}, status=404)
        if not _has_key(request, endpoint):
            return web.json_response({"message": "key_auth_access_denied"}, status=401)
        name = request.headers.get(CHOSEN) or _by_weight(endpoint)
        deployment = self._store.get(f"{path}/deployments/{name}") if name else None
        if not deployment or not deployment.private.get("serving"):
            return web.json_response(
                {
                    "message": "No valid deployment to route to: none has a positive weight, or the one named in the"
                    f" header {CHOSEN} is not up."
                },
                status=404,
            )
        await self._deployments.is_back(deployment.path)
        return await self._pass_on(request, deployment)

    async def _pass_on(self, request: web.Request, deployment: Resource) -> web.Response:
        assert self._session is not None
        headers = {key: request.headers[key] for key in PASSED_ON if key in request.headers}
        answered_by = {CHOSEN: deployment.name}
        try:
            address = f"{self._servers.address(deployment.path.lower())}/{request.match_info['path']}"
            async with self._session.request(
                request.method,
                address,
                params=request.query,
                data=await request.read(),
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=_timeout(deployment)),
            ) as answer:
                body = await answer.read()
                content_type = answer.headers.get("Content-Type", "application/json")
                if answer.status == 200:
                    return web.Response(body=body, headers={**answered_by, "Content-Type": content_type})
                # As the real one: whatever the container answered but 200 is a 424 with the reason in headers.
                answered_by["ms-azureml-model-error-statuscode"] = str(answer.status)
                answered_by["ms-azureml-model-error-reason"] = answer.reason or "model error"
                return web.Response(body=body, status=424, headers={**answered_by, "Content-Type": content_type})
        except TimeoutError:
            return web.json_response({"message": "The request timed out."}, status=408, headers=answered_by)
        except (ContainerCrashed, KeyError, aiohttp.ClientError):
            return web.json_response({"message": "The container is not ready."}, status=503, headers=answered_by)


def _has_key(request: web.Request, endpoint: Resource) -> bool:
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return any(is_secret(given, key) for key in endpoint.private["keys"])


def _by_weight(endpoint: Resource) -> str | None:
    routing: dict[str, int] = endpoint.private["routing"]
    if not any(routing.values()):
        return None
    return random.choices(list(routing), list(routing.values()))[0]


def _timeout(deployment: Resource) -> float:
    """Seconds, from `requestSettings.requestTimeout`, an ISO 8601 duration."""
    found = _DURATION.fullmatch(str((deployment.properties.get("requestSettings") or {}).get("requestTimeout")))
    hours, minutes, seconds = found.groups() if found else (None, None, "5")
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds or 0)
