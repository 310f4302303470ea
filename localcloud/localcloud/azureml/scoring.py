"""The scoring route of the endpoints: checks the key, picks a deployment by weight or header, passes requests on.

Every request is counted; what else becomes of it, a copy for a mirror or a line of the data collector, its caller does
not notice.
"""

import random
import uuid
from dataclasses import dataclass

from aiohttp import web

from localcloud.azureml.data_collector import DataCollector
from localcloud.azureml.forwarding import CHOSEN, Forwarding, ScoringAnswer, ScoringRequest
from localcloud.azureml.mirroring import Mirroring
from localcloud.azureml.scopes import PROVIDER, Scope
from localcloud.azureml.shared_parts import SharedParts
from localcloud.azureml.store import Resource
from localcloud.azureml.traffic_figures import Answered, TrafficFigures
from localcloud.azureml.wire import AzureError
from localcloud.http_server import is_secret

PASSED_ON = ("Content-Type", "x-ms-client-request-id")
_SCORE = "score"


@dataclass(frozen=True)
class RequestRecords:
    """What is kept of requests to endpoints."""

    figures: TrafficFigures
    collector: DataCollector


class Scoring:
    """Serves `/scoring/WORKSPACE/ENDPOINT/score` (and `swagger.json`) in place of the endpoint's own host."""

    def __init__(
        self,
        shared: SharedParts,
        forwarding: Forwarding,
        mirroring: Mirroring,
        records: RequestRecords,
    ) -> None:
        self._rights = shared.rights
        self._store = shared.store
        self._scopes = shared.scopes
        self._forwarding = forwarding
        self._mirroring = mirroring
        self._records = records

    def routes(self) -> list[web.RouteDef]:
        return [web.route("*", f"/scoring/{{workspace}}/{{endpoint}}/{{path:{_SCORE}|swagger.json}}", self._score)]

    async def _score(self, request: web.Request) -> web.Response:
        workspace = self._scopes.workspace(request.match_info["workspace"])
        path = f"{workspace.path}/onlineEndpoints/{request.match_info['endpoint']}" if workspace else ""
        endpoint = self._store.get(path) if path else None
        if not endpoint:
            return web.json_response({"message": "There is no such endpoint."}, status=404)
        if refusal := self._refusal(request, workspace, endpoint):
            return refusal
        named = request.headers.get(CHOSEN)
        name = named or _by_weight(endpoint)
        deployment = self._store.get(f"{path}/deployments/{name}") if name else None
        if not deployment or not deployment.private.get("serving"):
            return self._refused(
                endpoint,
                404,
                "No valid deployment to route to: none has a positive weight, or the one named in the"
                f" header {CHOSEN} is not up.",
            )
        scoring = await _scoring_request(request)
        if not named and scoring.path == _SCORE:
            self._mirroring.copy(endpoint, scoring, self._send_copy)
        answer = await self._send(endpoint, deployment, scoring, is_counted=True)
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

    def _refusal(self, request: web.Request, workspace: Scope | None, endpoint: Resource) -> web.Response | None:
        """The answer to a caller without the endpoint's key, or without a right if it takes tokens of Entra ID."""
        if str(endpoint.properties.get("authMode")).lower() != "aadtoken":
            return None if _has_key(request, endpoint) else self._refused(endpoint, 401, "key_auth_access_denied")
        try:
            caller = self._rights.caller(request)
        except AzureError:
            return self._refused(endpoint, 401, "aad_token_auth_access_denied")
        if workspace and self._rights.allow(caller, f"{PROVIDER}/workspaces/onlineEndpoints/score/action", workspace):
            return None
        return self._refused(endpoint, 403, "aad_token_auth_access_denied")

    def _refused(self, endpoint: Resource, status: int, message: str) -> web.Response:
        self._records.figures.add(Answered(endpoint.path, "", status, None, 0.0))
        return web.json_response({"message": message}, status=status)

    async def _send_copy(self, endpoint: Resource, mirror: Resource, request: ScoringRequest) -> None:
        await self._send(endpoint, mirror, request, is_counted=self._mirroring.is_counted)

    async def _send(
        self, endpoint: Resource, deployment: Resource, request: ScoringRequest, is_counted: bool
    ) -> ScoringAnswer:
        answer = await self._forwarding.send(deployment, request)
        if request.path == _SCORE:
            size = len(request.body) + len(answer.body)
            if is_counted:
                self._records.figures.add(
                    Answered(
                        endpoint.path, deployment.name, answer.status, answer.model_status, answer.milliseconds, size
                    )
                )
            workspace = self._scopes.of(deployment.path)
            if workspace:
                self._records.collector.collect(workspace, deployment, request, answer)
        return answer


async def _scoring_request(request: web.Request) -> ScoringRequest:
    return ScoringRequest(
        id=str(uuid.uuid4()),
        method=request.method,
        path=request.match_info["path"],
        query=request.query,
        headers={key: request.headers[key] for key in PASSED_ON if key in request.headers},
        body=await request.read(),
    )


def _has_key(request: web.Request, endpoint: Resource) -> bool:
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return any(is_secret(given, key) for key in endpoint.private["keys"])


def _by_weight(endpoint: Resource) -> str | None:
    routing: dict[str, int] = endpoint.private["routing"]
    if not any(routing.values()):
        return None
    return random.choices(list(routing), list(routing.values()))[0]
