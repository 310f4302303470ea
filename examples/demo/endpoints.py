"""The endpoints as their users see them: scoring requests over HTTPS, and the deployments."""

import asyncio
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp
from azure.ai.ml.entities import OnlineDeployment

from examples.demo.addresses import Addresses, ml_client
from examples.demo.digits import Image

SECONDS_PER_REQUEST = 60


#: The header of an answer that names its deployment.
ANSWERED_BY = "azureml-model-deployment"


@dataclass(frozen=True)
class Answer:
    """An endpoint's answer for some images: a digit and its probability for each."""

    digits: Sequence[int]
    probabilities: Sequence[float]
    version: str  #: of the model that answered
    seconds: float


class ScoringError(Exception):
    """The answer to a scoring request was not 200; the text says what it was."""


class Endpoint:
    """An online endpoint in an environment's workspace. Use it from one event loop; `session` stays the caller's."""

    def __init__(self, addresses: Addresses, environment: str, name: str, session: aiohttp.ClientSession) -> None:
        self.name = name
        self._addresses = addresses
        self._environment = environment
        self._session = session
        self._certificates = ssl.create_default_context(cafile=str(addresses.certificates))
        self._url_and_key: tuple[str, str] | None = None
        self._versions: dict[str, str] = {}  # by deployment, including removed ones

    async def ask(self, images: Sequence[Image]) -> Answer:
        """Send some images. Raises ScoringError if the endpoint does not answer as it should."""
        if self._url_and_key is None:
            self._url_and_key = await asyncio.to_thread(self._find)
        url, key = self._url_and_key
        began = time.monotonic()
        try:
            async with self._session.post(
                url,
                json={"images": images},
                headers={"Authorization": f"Bearer {key}"},
                ssl=self._certificates,
                timeout=aiohttp.ClientTimeout(total=SECONDS_PER_REQUEST),
            ) as answer:
                if answer.status != 200:
                    raise ScoringError(f"{answer.status}: {(await answer.text())[:300]}")
                body = await answer.json()
                seconds = time.monotonic() - began
        except (aiohttp.ClientError, TimeoutError) as fault:
            raise ScoringError(f"no answer: {fault or type(fault).__name__}") from fault
        version = await self._version(answer.headers[ANSWERED_BY])
        return Answer(body["digits"], body["probabilities"], version, seconds)

    async def versions(self) -> list[str]:
        """The model versions of the endpoint's deployments, with or without traffic."""
        return await asyncio.to_thread(self._list)

    async def _version(self, deployment: str) -> str:
        if deployment not in self._versions:
            self._versions[deployment] = await asyncio.to_thread(self._version_in, deployment)
        return self._versions[deployment]

    # --- these block while the SDK asks -------------------------------------------------------------------------------

    def _find(self) -> tuple[str, str]:
        operations = ml_client(self._addresses, self._environment).online_endpoints
        return str(operations.get(self.name).scoring_uri), str(operations.get_keys(self.name).primary_key)

    def _list(self) -> list[str]:
        operations = ml_client(self._addresses, self._environment).online_deployments
        return [_version_of(it) for it in operations.list(self.name)]

    def _version_in(self, deployment: str) -> str:
        operations = ml_client(self._addresses, self._environment).online_deployments
        return _version_of(operations.get(deployment, self.name))


def _version_of(deployment: OnlineDeployment) -> str:
    """The version from the id of the deployment's model, which ends with `/versions/VERSION`."""
    return str(deployment.model).rpartition("/")[2]
