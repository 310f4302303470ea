"""The identity of a job's process: its cluster's managed identity, one that the job names, or whoever submitted it.

Azure puts the address of a token service into the job's environment, `MSI_ENDPOINT` for `ManagedIdentityCredential` and
`OBO_ENDPOINT` for `AzureMLOnBehalfOfCredential`. Here it is a route of the control plane. What the platform itself does
for a job, such as keeping its metrics, needs none of it.
"""

import time
from urllib.parse import quote

import jwt
from aiohttp import web

from localcloud.azureml.rights import Caller, Rights, application
from localcloud.azureml.scopes import Scope
from localcloud.azureml.wire import AzureError, Json

SERVERLESS = "serverless"
_TOKENS = "/local/job-identity"
_TOKEN_SECONDS = 3600


class JobIdentity:
    def __init__(self, rights: Rights, base_url: str, key: str) -> None:
        """`key` signs the secrets by which a job's process gets tokens."""
        self._rights = rights
        self._base_url = base_url
        self._key = key

    def routes(self) -> list[web.RouteDef]:
        return [web.get(_TOKENS, self._token), web.get(_TOKENS + "/{secret}", self._token)]

    def variables(self, workspace: Scope, job: Json, name: str, submitter: Caller) -> dict[str, str]:
        """The environment variables by which the job's process gets tokens; none where it has no identity."""
        identity = identity_of(workspace, job, submitter)
        if identity is None:
            return {}
        claims = {"appid": identity.client_id, "oid": identity.object_id, "name": identity.name, "job": name}
        secret = jwt.encode({**claims, "is_person": identity.is_person}, self._key, "HS256")
        if identity is submitter:
            return {"OBO_ENDPOINT": f"{self._base_url}{_TOKENS}/{quote(secret)}"}
        return {
            "MSI_ENDPOINT": f"{self._base_url}{_TOKENS}",
            "MSI_SECRET": secret,
            "DEFAULT_IDENTITY_CLIENT_ID": identity.client_id,
        }

    async def _token(self, request: web.Request) -> web.Response:
        secret = request.match_info.get("secret", request.headers.get("secret", ""))
        try:
            claims = jwt.decode(secret, self._key, ["HS256"])
        except jwt.InvalidTokenError as error:
            raise AzureError(401, "Unauthorized", "The secret is not that of a job.") from error
        identity = Caller(claims["appid"], claims["oid"], claims["name"], claims["is_person"])
        asked = request.query.get("clientid", identity.client_id)
        if asked.lower() != identity.client_id.lower():
            raise AzureError(400, "BadRequest", f"The job's compute has no identity with the client id {asked}.")
        return web.json_response(
            {
                "access_token": self._rights.job_token(identity, claims["job"]),
                "expires_on": str(int(time.time()) + _TOKEN_SECONDS),
                "resource": request.query.get("resource", ""),
                "token_type": "Bearer",
            }
        )


def identity_of(workspace: Scope, job: Json, submitter: Caller) -> Caller | None:
    """The identity of the job's process. On a cluster that has none, a job that names none has none."""
    wanted = job.get("identity") or {}
    kind = str(wanted.get("identityType") or wanted.get("type") or "").lower().replace("_", "")
    if kind in ("useridentity", "amltoken"):
        return submitter
    named, compute = client_id(wanted), compute_of(job)
    if named:
        return application(named)
    own = workspace.identity_of_compute(compute)
    if own:
        return application(own)
    return submitter if compute == SERVERLESS else None


def refuse_foreign(workspace: Scope, job: Json) -> None:
    """Raises a 400 for a managed identity that neither the job's cluster nor, if it is serverless, the workspace
    has."""
    named, compute = client_id(job.get("identity") or {}), compute_of(job)
    if not named:
        return
    there = workspace.identities if compute == SERVERLESS else (workspace.identity_of_compute(compute),)
    if named.lower() not in [each.lower() for each in there if each]:
        owner = f"workspace {workspace.name}" if compute == SERVERLESS else f"compute {compute}"
        raise AzureError(400, "UserError", f"The {owner} has no managed identity with the client id {named}.")


def compute_of(job: Json) -> str:
    """The name of the job's cluster; of a job without one, `serverless`."""
    name = str(job.get("computeId") or SERVERLESS).rsplit("/", 1)[-1].removeprefix("azureml:")
    return SERVERLESS if name.lower() == SERVERLESS else name


def client_id(identity: Json) -> str:
    """The client id that a job, or a node of a pipeline, names."""
    return str(identity.get("clientId") or identity.get("client_id") or "")
