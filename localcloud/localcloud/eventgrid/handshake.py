"""The validation handshake: a webhook gets events only after it has shown that it wants them."""

import asyncio
import json
import logging
import uuid
from datetime import UTC, datetime

import aiohttp

from localcloud.eventgrid.configuration import Subscription
from localcloud.eventgrid.events import Schema
from localcloud.eventgrid.retries import ANSWER_WITHIN

#: The sender that an endpoint of CloudEvents has to allow.
ORIGIN = "eventgrid.azure.net"

#: Seconds between attempts; the last is repeated without limit, since the endpoint may start much later.
_PAUSES = (0.1, 0.2, 0.5, 1.0)

_log = logging.getLogger(__name__)


class Handshake:
    """Validates the endpoint of one subscription once per start."""

    def __init__(self, subscription: Subscription, source: str, callback: str) -> None:
        self._subscription = subscription
        self._source = source
        self._code = str(uuid.uuid4())
        self._callback = f"{callback}?code={self._code}"
        self._confirmed = asyncio.Event()

    @property
    def done(self) -> bool:
        """Whether events may be delivered."""
        return self._confirmed.is_set()

    def confirm(self, code: str) -> bool:
        """The manual handshake: a caller of the validation URL knows the code. False for a wrong code."""
        if code == self._code:
            self._confirmed.set()
        return code == self._code

    async def run(self, session: aiohttp.ClientSession) -> None:
        """Asks the endpoint, again and again with pauses while it is not up or refuses, until it has agreed."""
        attempt = 0
        while not self.done:
            refusal = await self._refusal(session)
            if refusal is None:
                self._confirmed.set()
                break
            level = logging.WARNING if attempt in (0, len(_PAUSES)) else logging.DEBUG
            _log.log(level, "subscription %s: no handshake yet, retrying: %s", self._subscription.name, refusal)
            pause = _PAUSES[min(attempt, len(_PAUSES) - 1)]
            attempt += 1
            await self._confirmed_within(pause)
        _log.info("subscription %s: the endpoint is validated", self._subscription.name)

    async def _confirmed_within(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._confirmed.wait()
        except TimeoutError:
            return

    async def _refusal(self, session: aiohttp.ClientSession) -> str | None:
        """Why the endpoint has not agreed, as text; None if it has."""
        ask = self._ask_event_grid if self._subscription.schema_ is Schema.EVENT_GRID else self._ask_cloud_events
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                return await ask(session)
        except TimeoutError:
            return f"no answer within {ANSWER_WITHIN:.0f} s"
        except aiohttp.ClientError as error:
            # Not the error's own text: it holds the endpoint's address and with it a key.
            return f"the endpoint cannot be reached ({type(error).__name__})"

    async def _ask_event_grid(self, session: aiohttp.ClientSession) -> str | None:
        event = {
            "id": str(uuid.uuid4()),
            "topic": self._source,
            "subject": "",
            "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
            "eventTime": datetime.now(UTC).isoformat(),
            "dataVersion": "2",
            "metadataVersion": "1",
            "data": {"validationCode": self._code, "validationUrl": self._callback},
        }
        headers = {
            "aeg-event-type": "SubscriptionValidation",
            "aeg-subscription-name": self._subscription.name.upper(),
        }
        async with session.post(self._subscription.endpoint, json=[event], headers=headers) as answer:
            content = await answer.read()
            if answer.status != 200:
                return f"the endpoint answered {answer.status}"
            return (
                None
                if _validation_response(content) == self._code
                else "the answer does not have the expected validationResponse"
            )

    async def _ask_cloud_events(self, session: aiohttp.ClientSession) -> str | None:
        headers = {"WebHook-Request-Origin": ORIGIN, "WebHook-Request-Callback": self._callback}
        async with session.options(self._subscription.endpoint, headers=headers) as answer:
            if answer.status not in (200, 204):
                return f"the endpoint answered {answer.status}"
            allowed = answer.headers.get("WebHook-Allowed-Origin", "")
            return None if allowed in (ORIGIN, "*") else "the answer has no WebHook-Allowed-Origin for this sender"


def _validation_response(content: bytes) -> object:
    try:
        decoded = json.loads(content)
    except ValueError:
        return None
    return decoded.get("validationResponse") if isinstance(decoded, dict) else None
