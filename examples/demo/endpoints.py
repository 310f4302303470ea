"""The endpoints as those who use them see them: scoring requests over HTTPS, and which deployments there are."""

import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

from examples.demo.addresses import Addresses, ml_client
from examples.demo.digits import Image

SECONDS_PER_REQUEST = 10


@dataclass(frozen=True)
class Answer:
    """What an endpoint made of some images: a digit and its probability each."""

    digits: Sequence[int]
    probabilities: Sequence[float]
    trained_by: str  #: name of the job that trained the model which answered
    seconds: float


class ScoringError(Exception):
    """A scoring request was not answered with 200; the text says what came instead."""


@dataclass(frozen=True)
class Endpoint:
    """Where an endpoint takes requests, and its key."""

    url: str
    key: str
    certificates: ssl.SSLContext

    async def ask(self, session: aiohttp.ClientSession, images: Sequence[Image]) -> Answer:
        """Have some images read; ScoringError when the endpoint does not answer as it should."""
        began = time.monotonic()
        try:
            async with session.post(
                self.url,
                json={"images": images},
                headers={"Authorization": f"Bearer {self.key}"},
                ssl=self.certificates,
                timeout=aiohttp.ClientTimeout(total=SECONDS_PER_REQUEST),
            ) as answer:
                if answer.status != 200:
                    raise ScoringError(f"{answer.status}: {(await answer.text())[:300]}")
                body = await answer.json()
        except (aiohttp.ClientError, TimeoutError) as fault:
            raise ScoringError(f"no answer: {fault or type(fault).__name__}") from fault
        return Answer(body["digits"], body["probabilities"], body["trained_by"], time.monotonic() - began)


def endpoint(addresses: Addresses, environment: str, name: str) -> Endpoint:
    """The endpoint of this name in an environment's workspace; blocks while the SDK asks for it and its key."""
    operations = ml_client(addresses, environment).online_endpoints
    certificates = ssl.create_default_context(cafile=str(addresses.certificates))
    return Endpoint(str(operations.get(name).scoring_uri), str(operations.get_keys(name).primary_key), certificates)


def deployments(addresses: Addresses, environment: str, name: str) -> list[str]:
    """The names of an endpoint's deployments; blocks while the SDK asks for them."""
    return [str(it.name) for it in ml_client(addresses, environment).online_deployments.list(name)]
