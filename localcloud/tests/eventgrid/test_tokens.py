"""Publishing with a token in place of a key, as the SDK makes it."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from azure.core.credentials import AzureSasCredential
from azure.core.exceptions import ClientAuthenticationError
from azure.eventgrid import EventGridEvent, generate_sas
from azure.eventgrid.aio import EventGridPublisherClient

from localcloud.eventgrid.shared_access import InvalidTokenError, check_token

if TYPE_CHECKING:
    from localcloud.testing.eventgrid import EventGrid, Webhook
    from tests.eventgrid.conftest import Until

PATH = "/topics/ws-dev/api/events"
ADDRESS = f"http://127.0.0.1:8081{PATH}"
KEY = "YS1rZXktZm9yLXRlc3Rz"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


async def publish(topic: str, token: str) -> None:
    async with EventGridPublisherClient(topic, AzureSasCredential(token)) as publisher:
        await publisher.send(EventGridEvent("models/churn:1", "Registered", {}, "1"))


async def test_a_token_of_the_sdk_publishes_until_it_expires(
    eventgrid: "EventGrid", webhook: "Webhook", until: "Until"
) -> None:
    eventgrid.configure(webhook.address)
    await eventgrid.start()
    now = datetime.now(UTC)
    await publish(eventgrid.topic, generate_sas(eventgrid.topic, KEY, now + timedelta(hours=1)))
    await until(lambda: len(webhook.events) == 1)
    with pytest.raises(ClientAuthenticationError, match="expired at"):
        await publish(eventgrid.topic, generate_sas(eventgrid.topic, KEY, now - timedelta(seconds=1)))


@pytest.mark.parametrize("expiry", [LATER, LATER.replace(tzinfo=None), "11/21/2026 1:00:00 PM"])
def test_a_token_counts_up_to_its_expiry_however_that_is_written(expiry: datetime) -> None:
    token = generate_sas(ADDRESS, KEY, expiry)
    check_token(token, KEY, PATH, LATER - timedelta(seconds=1))
    with pytest.raises(InvalidTokenError, match="expired at"):
        check_token(token, KEY, PATH, LATER)


TOKEN = generate_sas(ADDRESS, KEY, LATER)


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (generate_sas(ADDRESS, "b3RoZXI=", LATER), "not signed with a key of this topic"),
        (TOKEN.replace("2026", "2036"), "not signed with a key of this topic"),
        (TOKEN.partition("&s=")[0], "not signed with a key of this topic"),
        ("", "not signed with a key of this topic"),
        ("\udcff&s=\udcff", "not signed with a key of this topic"),
        (generate_sas(ADDRESS.replace("dev", "prod"), KEY, LATER), "ws-prod/api/events.*, not for this topic"),
        (generate_sas(ADDRESS, KEY, "soon"), "cannot be read: .*soon"),  # type: ignore[arg-type]  # that is the point
        (generate_sas("http://[", KEY, LATER), "cannot be read"),
    ],
)
def test_another_token_is_refused_with_the_reason(token: str, reason: str) -> None:
    with pytest.raises(InvalidTokenError, match=reason):
        check_token(token, KEY, PATH, NOW)


def test_a_key_that_is_no_base64_signs_no_tokens() -> None:
    with pytest.raises(InvalidTokenError, match="not base64"):
        check_token(TOKEN, "some-secret", PATH, NOW)
