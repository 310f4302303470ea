"""Who may do what: bearer tokens and role assignments, checked for every route by its path."""

import re
import uuid
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import jwt
from aiohttp import web
from aiohttp.typedefs import Handler

from localcloud.azureml.configuration import CustomRole, RoleAssignment
from localcloud.azureml.scopes import PROVIDER, TENANT, Scope, Scopes, arm_path
from localcloud.azureml.storage import REGISTRY_CONTAINER
from localcloud.azureml.wire import AzureError, Json


@dataclass(frozen=True)
class Caller:
    """The caller of a request: the claims `appid`, `oid`, `name` and `idtyp` of its token."""

    client_id: str
    object_id: str
    name: str = ""
    is_person: bool = False

    @property
    def creator(self) -> Json:
        """In the form in which run history and the data plane of models say who made something. In published documents
        of jobs, people have a `userPuId` and no `upn`, and applications have neither."""
        return {
            "userObjectId": self.object_id,
            "userPuId": f"1003{uuid.uuid5(uuid.NAMESPACE_OID, self.object_id).hex[:12].upper()}"
            if self.is_person
            else None,
            "userIdp": None,
            "userAltSecId": None,
            "userIss": f"https://sts.windows.net/{TENANT}/",
            "userTenantId": TENANT,
            "userName": self.name or self.client_id,
            "upn": None,
        }

    @property
    def kind(self) -> str:
        """Azure's `createdByType`."""
        return "User" if self.is_person else "Application"


def application(client_id: str) -> Caller:
    """The managed identity with this client id."""
    return Caller(client_id, str(uuid.uuid5(uuid.NAMESPACE_OID, client_id.lower())))


#: Where the data plane of models begins.
MODEL_MANAGEMENT = "/modelmanagement/v1.0"
CALLER = web.RequestKey("caller", Caller)
#: Paths that need no token: what comes before signing in, what has a signature or a key, and our own controls.
_OPEN = re.compile(rf"/(metadata/|discovery/|blob/|{REGISTRY_CONTAINER}|scoring/|local/)")
DATA_READER = "Storage Blob Data Reader"
#: How messages write the names of providers. Requests may use any case.
_WRITTEN = {"microsoft.insights": "Microsoft.Insights"}
_VERBS = {"GET": "read", "HEAD": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete", "POST": "action"}
_IN_WORKSPACES = f"{PROVIDER}/workspaces"
_ALL_THERE: dict[str, list[str]] = {"actions": ["*"], "notActions": []}
#: What Azure lists for its built-in roles, as far as machine learning goes.
_LISTED: dict[str, dict[str, list[str]]] = {
    "Contributor": {
        "actions": ["*"],
        "notActions": ["Microsoft.Authorization/*/Delete", "Microsoft.Authorization/*/Write"],
    },
    "Reader": {"actions": ["*/read"], "notActions": []},
    "AzureML Data Scientist": {
        "actions": [f"{_IN_WORKSPACES}/*/{verb}" for verb in ("read", "action", "delete", "write")],
        "notActions": [
            f"{_IN_WORKSPACES}/delete",
            f"{_IN_WORKSPACES}/write",
            f"{_IN_WORKSPACES}/computes/*/write",
            f"{_IN_WORKSPACES}/computes/*/delete",
            f"{_IN_WORKSPACES}/computes/listKeys/action",
            f"{_IN_WORKSPACES}/listKeys/action",
            f"{_IN_WORKSPACES}/hubs/write",
            f"{_IN_WORKSPACES}/hubs/delete",
            f"{_IN_WORKSPACES}/featurestores/write",
            f"{_IN_WORKSPACES}/featurestores/delete",
        ],
    },
    "Monitoring Reader": {
        "actions": ["*/read", "Microsoft.OperationalInsights/workspaces/search/action", "Microsoft.Support/*"],
        "notActions": [],
    },
    "Storage Blob Data Reader": {
        "actions": [
            "Microsoft.Storage/storageAccounts/blobServices/containers/read",
            "Microsoft.Storage/storageAccounts/blobServices/generateUserDelegationKey/action",
        ],
        "notActions": [],
    },
    "AzureML Registry User": {
        "actions": [f"{PROVIDER}/registries/read", f"{PROVIDER}/registries/assets/*"],
        "notActions": [],
    },
}
_WORKSPACE_ADMINISTRATION = re.compile(
    r"/workspaces/(write|delete|listKeys/action)$|/computes/(write|delete|listKeys/action)$"
    r"|/workspaces/(hubs|featurestores)/(write|delete)$",
    re.I,
)


class Rights:
    """Checks tokens (HS256 with the key that the identity part signs with) and role assignments."""

    def __init__(
        self,
        scopes: Scopes,
        token_key: bytes | None,
        assignments: list[RoleAssignment] | None,
        custom_roles: list[CustomRole],
        job_key: str,
    ) -> None:
        """Without `token_key` any well-formed token is accepted; `job_key` signs the tokens that running jobs get."""
        self._scopes = scopes
        self._key = token_key
        self._assignments = assignments
        self._custom_roles = {role.name: role.actions for role in custom_roles}
        self._job_key = job_key

    def job_token(self, caller: Caller, job: str) -> str:
        """A token with which a job's process acts as the identity that submitted it."""
        claims = {"appid": caller.client_id, "oid": caller.object_id, "name": caller.name, "job": job}
        claims |= {"scp": "user_impersonation"} if caller.is_person else {"idtyp": "app"}
        return jwt.encode(claims, self._job_key, "HS256")

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not _OPEN.match(request.path):
            request[CALLER] = self.caller(request)
            scope = self._scopes.of(arm_path(request))
            if scope:
                self.demand(request[CALLER], action(request, scope), _resource(request, scope))
        return await handler(request)

    def caller(self, request: web.Request) -> Caller:
        """The caller that the request's token names. Raises a 401 without a valid token."""
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise _unauthenticated(
                "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing."
            )
        try:
            claims = self._claims(token.strip())
        except (jwt.InvalidTokenError, UnicodeEncodeError) as error:  # the latter: bytes that are not text
            raise _unauthenticated("InvalidAuthenticationToken", f"The access token is invalid: {error}.") from error
        client_id = str(claims.get("appid", ""))
        # Entra ID marks a user's token by its scopes. A token without scopes counts as an application's.
        is_person = claims.get("idtyp") != "app" and "scp" in claims
        return Caller(client_id, str(claims.get("oid", client_id)), str(claims.get("name", "")), is_person)

    def demand(self, caller: Caller, wanted: str, scope: Scope) -> None:
        """Raises a 403 with Azure's text unless a role of the caller on this scope allows the action."""
        if self.allow(caller, wanted, scope):
            return
        raise AzureError(
            403,
            "AuthorizationFailed",
            f"The client '{caller.client_id}' with object id '{caller.object_id}' does not have authorization to"
            f" perform action '{wanted}' over scope '{scope.path}' or the scope is invalid. If access was recently"
            " granted, please refresh your credentials.",
        )

    def allow(self, caller: Caller, wanted: str, scope: Scope) -> bool:
        """Whether a role of the caller on this scope allows the action."""
        roles = self._roles(caller, scope)
        return roles is None or any(self._allows(role, wanted) for role in roles)

    def _allows(self, role: str, wanted: str) -> bool:
        if role not in self._custom_roles:
            return allows(role, wanted)
        return any(fnmatchcase(wanted.lower(), each.lower()) for each in self._custom_roles[role])

    def reads_data(self, caller: Caller, workspace: Scope) -> bool:
        """Whether the caller may read the files in the workspace's storage account by a role, without its key."""
        account = Scope(workspace.storage_account, workspace.location)
        roles = self._roles(caller, account)
        return roles is None or DATA_READER in roles

    def permissions(self, caller: Caller, scope: Scope) -> list[dict[str, list[str]]]:
        """As Azure lists them: `actions` and `notActions` of each role that the caller has on this scope."""
        roles = self._roles(caller, scope)
        listed = [_ALL_THERE] if roles is None else [self._listed(role) for role in roles]
        return [{**each, "dataActions": [], "notDataActions": []} for each in listed]

    def _listed(self, role: str) -> dict[str, list[str]]:
        custom = self._custom_roles.get(role)
        return _LISTED[role] if custom is None else {"actions": list(custom), "notActions": []}

    def _roles(self, caller: Caller, scope: Scope) -> list[str] | None:
        """None if everybody may do everything."""
        if self._assignments is None:
            return None
        return [
            assignment.role
            for assignment in self._assignments
            if assignment.principal.lower() == caller.client_id.lower() and _covers(assignment.scope, scope)
        ]

    def _claims(self, token: str) -> dict[str, Any]:
        # Audiences differ by cloud and by data plane; what is checked here is who speaks, not to whom.
        unchecked: Any = {"verify_aud": False}
        try:
            issued_here = jwt.decode(token, self._job_key, ["HS256"], options=unchecked)
        except jwt.InvalidTokenError:
            if self._key is None:
                return jwt.decode(token, options={"verify_signature": False})
            return jwt.decode(token, self._key, ["HS256"], options=unchecked)
        return issued_here


def action(request: web.Request, scope: Scope) -> str:
    """The name of the permission that the request needs, such as `…/workspaces/models/versions/read`."""
    kind = "registries" if scope.is_registry else "workspaces"
    verb = _VERBS.get(request.method, "action")
    if request.path.startswith(MODEL_MANAGEMENT):
        types = ["models", "versions"]
    elif request.path.startswith(("/mlflow/", "/history/")):
        reads = verb == "read" or request.path.endswith(("/search", "/rundata"))
        types, verb = ["jobs"], "read" if reads else "write"
    else:
        words = arm_path(request)[len(scope.path) :].strip("/").split("/")
        providers = [place for place, word in enumerate(words) if word.lower() == "providers" and place % 2 == 0]
        if providers:  # of another provider, about the workspace or something in it
            provider, kind = words[providers[0] + 1 : providers[0] + 3]
            return "/".join([_WRITTEN.get(provider.lower(), provider), kind, verb])
        types = [word for word in words[0::2] if word]
        if types[:1] in (["datarefs"], ["dataversion"]):  # a POST that only asks where to read something
            verb = "read"
    return "/".join([PROVIDER, kind, *types, verb])


def _resource(request: web.Request, scope: Scope) -> Scope:
    """What a role must cover: the resource itself if another provider is asked about it, else the workspace or
    registry."""
    resource, provider, _ = arm_path(request)[len(scope.path) :].rpartition("/providers/")
    return Scope(scope.path + resource, scope.location) if provider and resource else scope


def allows(role: str, wanted: str) -> bool:
    """Whether the built-in role has the permission.

    Source: Azure's built-in roles. A Data Scientist may do everything within a workspace except change it or its
    computes.
    """
    match role:
        case "Contributor":
            return True
        case "Reader" | "Monitoring Reader":
            return wanted.endswith("/read")
        case "Storage Blob Data Reader":
            return False  # of data only, which no request of the control plane is
        case "AzureML Data Scientist":
            return f"{PROVIDER}/workspaces/" in wanted and not _WORKSPACE_ADMINISTRATION.search(wanted)
        case _:
            return f"{PROVIDER}/registries/" in wanted and wanted not in (
                f"{PROVIDER}/registries/write",
                f"{PROVIDER}/registries/delete",
            )


def _covers(assigned: str, scope: Scope) -> bool:
    lower = assigned.lower().rstrip("/")
    if lower == f"registries/{scope.name.lower()}":
        return scope.is_registry
    return (scope.path.lower() + "/").startswith(lower + "/")


def _unauthenticated(code: str, message: str) -> AzureError:
    return AzureError(401, code, message, {"WWW-Authenticate": 'Bearer authorization_uri="https://localhost/common"'})
