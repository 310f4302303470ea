"""What every route of the control plane shares: JSON bodies, errors in Azure's shape, the form of a time."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

Json = dict[str, Any]  # a JSON object as it goes over the wire; its shape is Azure's, not ours
#: Fields that are objects wherever they are in a request.
OBJECTS = (
    *("tags", "properties", "sku", "identity", "traffic", "mirrorTraffic", "environmentVariables"),
    *("codeConfiguration", "requestSettings", "componentSpec", "inputs", "outputs", "jobs", "limits", "flavors"),
)
#: Those of them whose values are objects too.
OBJECTS_OF_OBJECTS = ("inputs", "outputs", "jobs")


class AzureError(Exception):
    """Refuses a request: becomes `{"error": {"code", "message", "details"}}` with this HTTP status."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        headers: Mapping[str, str] | None = None,
        details: Sequence[Json] = (),
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}
        self.details = details

    def response(self) -> web.Response:
        error: Json = {"code": self.code, "message": self.message}
        if self.details:
            error["details"] = self.details
        return web.json_response({"error": error}, status=self.status, headers=self.headers)


def not_found(what: str) -> AzureError:
    return AzureError(404, "ResourceNotFound", f"{what} was not found.")


async def json_body(request: web.Request) -> Json:
    """The request's JSON object, `{}` without a body. Anything else is a 400."""
    if not request.body_exists:
        return {}
    try:
        body = await request.json()
    except (ValueError, RecursionError, LookupError) as error:  # LookupError: an unknown charset
        raise AzureError(400, "InvalidRequestContent", f"The request content is not valid JSON: {error}.") from error
    if not isinstance(body, dict):
        raise AzureError(400, "InvalidRequestContent", "The request content must be a JSON object.")
    _refuse_wrong_types(body)
    return body


async def properties_in(request: web.Request) -> Json:
    """The `properties` of the request's JSON object without those that are null; 400 when they are no object."""
    properties = (await json_body(request)).get("properties") or {}
    _refuse_wrong_types(properties, "properties.")
    return {key: value for key, value in properties.items() if value is not None}


def timestamp(seconds: float | None = None) -> str:
    """A time in seconds since the epoch (default: now) as ISO 8601 in UTC."""
    moment = datetime.now(UTC) if seconds is None else datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat()


def _refuse_wrong_types(fields: Json, place: str = "") -> None:
    for key in OBJECTS:
        value = fields.get(key)
        wrong = f"{place}{key}" if not isinstance(value, dict | None) else ""
        if not wrong and value and key in OBJECTS_OF_OBJECTS:
            wrong = next((f"{place}{key}.{name}" for name in value if not isinstance(value[name], dict | None)), "")
        if wrong:
            raise AzureError(400, "InvalidRequestContent", f"{wrong} must be a JSON object.")
