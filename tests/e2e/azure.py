"""Azure for the tests: models are registered with the SDK, everything else goes over plain HTTPS."""

import asyncio
import ssl
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
from azure.core.exceptions import AzureError
from azure.identity import ManagedIdentityCredential

from examples.demo.request_loop import RequestLoop

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the SDK's own use of marshmallow warns while it is imported
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import Job, Model
    from azure.ai.ml.exceptions import MlException

#: The longest wait for anything, in seconds. It only ends a test that hangs: a busy machine may be very slow.
DEADLINE = 300.0
#: The longest time for which a call is held. The app itself waits for a minute, its copy in `held_app.py` for longer.
HELD_SECONDS = 500
#: What the SDK raises if Azure does not answer, or refuses.
SDK_FAULTS = (AzureError, MlException, OSError)
ANSWERED_BY = "azureml-model-deployment"
_API_VERSION = {"api-version": "2022-05-01"}

#: Seconds between two looks. Each takes processor time that the other tests are waiting for.
LOOK_AGAIN = 0.25

T = TypeVar("T")


class NotAnsweredError(Exception):
    """A scoring request was not answered with 200."""


async def until(
    look: Callable[[], Awaitable[T | None]], what: str, seconds: float = DEADLINE, again: float = LOOK_AGAIN
) -> T:
    """The first answer that is neither None nor False. Fails if there is none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = await look()
        if found:
            return found
        await asyncio.sleep(again)
    raise AssertionError(f"not within {seconds:g} s: {what}")


@dataclass(frozen=True)
class Shares:
    """What each deployment of an endpoint gets, in per cent; those that get nothing are left out."""

    traffic: dict[str, int]
    mirror: dict[str, int]


class Azure:
    """The workspaces of a running local cloud; `addresses` is what its `addresses.json` holds."""

    def __init__(self, addresses: Mapping[str, Any], session: aiohttp.ClientSession, folder: Path) -> None:
        self._addresses = addresses
        self._session = session
        self._folder = folder
        self._certificates = ssl.create_default_context(cafile=addresses["azureml"]["ca_file"])
        self._token = ""
        #: The SDK's client of the workspace that models come from.
        self.dev = client_of(addresses, "dev")

    # --- models ---

    async def register(self, name: str, version: str, content: str | None = None) -> None:
        """Register a model that consists of one line of text, by default name and version."""
        folder = self._folder / f"{name}-{version}"
        folder.mkdir(parents=True)
        (folder / "model.txt").write_text(content or f"{name} {version}")
        model = Model(name=name, version=version, path=folder, type="custom_model")
        await asyncio.to_thread(self.dev.models.create_or_update, model)

    async def versions(self, name: str, environment: str = "dev") -> list[str]:
        """The versions that a workspace has of a model."""
        return await self._names(self._addresses["workspaces"][environment] + f"/models/{name}/versions")

    async def origins(self, name: str) -> dict[str, str | None]:
        """The name of the job that each version of a model in the dev workspace came from."""
        found = await self.call("GET", self._addresses["workspaces"]["dev"] + f"/models/{name}/versions")
        return {each["name"]: each["properties"].get("jobName") for each in found["value"]} if found else {}

    async def registry_versions(self, name: str, kind: str = "models") -> list[str]:
        """The versions that the registry has of a model, or of another kind of asset."""
        registry = self._addresses["registry"]
        discovery = f"/registrymanagement/v1.0/registries/{registry}/discovery"
        found = await self.call("GET", discovery, params={"api-version": "v1.0"})
        assert found, registry
        scope = f"/subscriptions/{found['subscriptionId']}/resourceGroups/{found['resourceGroup']}"
        path = f"{scope}/providers/Microsoft.MachineLearningServices/registries/{registry}/{kind}/{name}/versions"
        return await self._names("/mferp/managementfrontend" + path)

    # --- jobs ---

    async def run(self, job: Job) -> str:
        """Submit a job to the dev workspace and wait for its end; returns its status."""
        return await self.ended(str((await asyncio.to_thread(self.dev.jobs.create_or_update, job)).name))

    async def job(self, environment: str, name: str) -> Mapping[str, Any] | None:
        """The properties of a job; None where there is none."""
        found = await self.call("GET", f"{self._addresses['workspaces'][environment]}/jobs/{name}")
        return found["properties"] if found else None

    async def ended(self, name: str) -> str:
        """The status of a job of the dev workspace, once it has ended."""
        path = f"{self._addresses['workspaces']['dev']}/jobs/{name}"

        async def ended() -> str | None:
            found = await self.call("GET", path)
            status = str(found["properties"]["status"]) if found else ""
            return status if status in ("Completed", "Failed", "Canceled") else None

        return await until(ended, f"job {name} has ended")

    async def completed(self, experiment: str) -> list[str]:
        """The names of the pipeline jobs of an experiment in the dev workspace that have completed."""
        wanted = (experiment, "Completed")
        jobs = await self.jobs("dev", "?jobType=Pipeline")
        return [name for name, its in jobs.items() if (its["experimentName"], its["status"]) == wanted]

    async def jobs(self, environment: str, query: str = "") -> dict[str, Mapping[str, Any]]:
        """The properties of the jobs that were submitted to a workspace, by name."""
        path: str | None = f"{self._addresses['workspaces'][environment]}/jobs{query}"
        jobs: dict[str, Mapping[str, Any]] = {}
        while path:
            found = await self.call("GET", path) or {}
            jobs |= {job["name"]: job["properties"] for job in found.get("value", [])}
            path = str(found.get("nextLink") or "").removeprefix(self._addresses["azureml"]["url"])
        return jobs

    async def children(self, job: str) -> list[str]:
        """The names of the jobs inside a pipeline job."""
        found = await asyncio.to_thread(lambda: list(self.dev.jobs.list(parent_job_name=job)))
        return [str(each.name) for each in found]

    # --- endpoints ---

    async def traffic(self, environment: str, endpoint: str) -> dict[str, int] | None:
        """The share of each deployment that has any, in per cent; None without such an endpoint."""
        found = await self.call("GET", self._endpoint(environment, endpoint))
        return {name: share for name, share in found["properties"]["traffic"].items() if share} if found else None

    async def shares_of(self, environment: str, endpoint: str) -> dict[str, int]:
        """What each version of the model gets, in per cent, once no change of the endpoint is under way."""

        async def settled() -> dict[str, int] | None:
            found = await self.call("GET", self._endpoint(environment, endpoint))
            assert found, endpoint
            properties = found["properties"]
            return dict(properties["traffic"]) if properties["provisioningState"] == "Succeeded" else None

        traffic = await until(settled, f"no change of {endpoint} is under way")
        versions = await self.deployments(environment, endpoint)
        return {versions[name]: share for name, share in traffic.items() if share}

    async def models(self, environment: str, endpoint: str) -> dict[str, str]:
        """The id of the model by the name of the deployment."""
        found = await self.call("GET", self._endpoint(environment, endpoint) + "/deployments")
        return {each["name"]: str(each["properties"]["model"]) for each in found["value"]} if found else {}

    async def deployments(self, environment: str, endpoint: str) -> dict[str, str]:
        """The model's version by the name of the deployment."""
        found = await self.call("GET", self._endpoint(environment, endpoint) + "/deployments")
        value = found["value"] if found else []
        return {each["name"]: str(each["properties"]["model"]).rpartition("/")[2] for each in value}

    async def states(self, environment: str, endpoint: str) -> list[str]:
        """The provisioning states of the endpoint's deployments."""
        found = await self.call("GET", self._endpoint(environment, endpoint) + "/deployments")
        return [each["properties"]["provisioningState"] for each in found["value"]] if found else []

    async def only_deployment(self, environment: str, endpoint: str) -> str:
        """The model's version in the one deployment that an endpoint has, which takes all the traffic."""
        deployments = await self.deployments(environment, endpoint)
        traffic = await self.traffic(environment, endpoint)
        assert traffic == dict.fromkeys(deployments, 100), f"{endpoint}: {deployments}, traffic {traffic}"
        return next(iter(deployments.values()))

    async def endpoints(self, environment: str) -> list[str]:
        """The names of the endpoints that a workspace has."""
        return await self._names(self._addresses["workspaces"][environment] + "/onlineEndpoints")

    async def tags(self, environment: str, endpoint: str) -> dict[str, dict[str, str]]:
        """The tags of the endpoint's deployments, by name."""
        found = await self.call("GET", self._endpoint(environment, endpoint) + "/deployments")
        return {each["name"]: each["tags"] for each in found["value"]} if found else {}

    async def answer(self, environment: str, endpoint: str, question: Any = None) -> Any:
        """The JSON that an endpoint answers; raises `NotAnsweredError`."""
        url, key = await self.scoring(environment, endpoint)
        headers = {"Authorization": f"Bearer {key}"}
        async with self._session.post(url, json=question, headers=headers, ssl=self._certificates) as answer:
            if answer.status != 200:
                raise NotAnsweredError(f"{answer.status}: {await answer.text()}")
            return await answer.json()

    async def scoring(self, environment: str, endpoint: str) -> tuple[str, str]:
        """The address of an endpoint's scoring, and its key."""
        path = self._endpoint(environment, endpoint)
        found, keys = await self.call("GET", path), await self.call("POST", f"{path}/listKeys")
        assert found
        assert keys
        return found["properties"]["scoringUri"], keys["primaryKey"]

    async def shares(self, environment: str) -> dict[str, Shares]:
        """How each endpoint of a workspace divides its requests."""
        found = await self.call("GET", self._addresses["workspaces"][environment] + "/onlineEndpoints")
        assert found
        return {
            each["name"]: Shares(
                *(
                    {name: share for name, share in (each["properties"].get(which) or {}).items() if share}
                    for which in ("traffic", "mirrorTraffic")
                )
            )
            for each in found["value"]
        }

    async def batch_defaults(self, environment: str) -> dict[str, frozenset[str]]:
        """The default deployment of each batch endpoint of a workspace; an empty set where there is none."""
        found = await self.call("GET", self._addresses["workspaces"][environment] + "/batchEndpoints")
        assert found
        named = {each["name"]: (each["properties"].get("defaults") or {}) for each in found["value"]}
        return {name: frozenset(filter(None, [its.get("deploymentName")])) for name, its in named.items()}

    async def batch_deployments(self, environment: str, endpoint: str) -> dict[str, Mapping[str, Any]]:
        """The deployments of a batch endpoint, by name."""
        path = f"{self._addresses['workspaces'][environment]}/batchEndpoints/{endpoint}/deployments"
        found = await self.call("GET", path)
        return {each["name"]: each for each in found["value"]} if found else {}

    async def model_tags(self, environment: str, name: str) -> dict[str, Mapping[str, str]]:
        """The tags of each version of a model."""
        found = await self.call("GET", f"{self._addresses['workspaces'][environment]}/models/{name}/versions")
        return {each["name"]: each["properties"]["tags"] for each in found["value"]} if found else {}

    async def make_endpoint(self, environment: str, endpoint: str) -> None:
        """Create an endpoint by hand, like somebody who knows nothing of the app."""
        body = {"location": "westeurope", "properties": {"authMode": "Key"}}
        await self.call("PUT", self._endpoint(environment, endpoint), json=body)

    async def move_traffic(self, environment: str, endpoint: str, traffic: Mapping[str, int]) -> None:
        """Divide an endpoint's traffic by hand: the shares of its deployments, in per cent."""
        path = self._endpoint(environment, endpoint)
        found = await self.call("GET", path)
        assert found
        properties = {**found["properties"], "traffic": dict(traffic), "mirrorTraffic": {}}
        body = {name: found[name] for name in ("location", "identity", "tags") if found.get(name)}
        await self.call("PUT", path, json={**body, "properties": properties})

    @asynccontextmanager
    async def users(
        self, environment: str, endpoint: str, question: Any = None, pause_seconds: float = 0.2
    ) -> AsyncIterator[RequestLoop]:
        """Send requests to an endpoint continuously inside the block, and count the answers by deployment."""
        url, key = await self.scoring(environment, endpoint)
        headers = {"Authorization": f"Bearer {key}"}

        async def ask() -> str:
            try:
                async with self._session.post(url, json=question, headers=headers, ssl=self._certificates) as answer:
                    if answer.status != 200:
                        raise NotAnsweredError(f"{answer.status}: {await answer.text()}")
                    return answer.headers[ANSWERED_BY]
            except (aiohttp.ClientError, TimeoutError) as fault:
                raise NotAnsweredError(repr(fault)) from fault

        async with RequestLoop(ask, NotAnsweredError, pause_seconds=pause_seconds) as loop:
            yield loop

    @asynccontextmanager
    async def crowd(
        self, loops: int, environment: str, endpoint: str, question: Any = None, pause_seconds: float = 0.2
    ) -> AsyncIterator[list[RequestLoop]]:
        """As `users`, in so many loops side by side."""
        async with AsyncExitStack() as stack:
            yield [
                await stack.enter_async_context(self.users(environment, endpoint, question, pause_seconds))
                for _ in range(loops)
            ]

    # --- faults ---

    async def fault(self, kind: str, method: str | None, path: str, seconds: float = 1, count: int = 1) -> int:
        """Switch a fault on for the next calls like this (`*` stands for anything); returns its number.

        Without a method every method is meant.
        """
        match = {"method": method, "path": path}
        body = {"kind": kind, "match": match, "seconds": seconds, "count": count}
        found = await self.call("POST", "/local/faults", json=body)
        assert found
        return int(found["number"])

    async def clear_faults(self) -> None:
        """Switch all faults off."""
        await self.call("DELETE", "/local/faults")

    async def hold(self, method: str, path: str) -> "HeldCall":
        """Let the next call like this do its work, but hold back its answer until it is released."""
        return HeldCall(self, method, path, await self.fault("late_answer", method, path, HELD_SECONDS))

    async def has_struck(self, fault: int) -> bool:
        """Whether a fault for a single call has been used."""
        found = await self.call("GET", "/local/faults")
        return found is not None and fault not in {each["number"] for each in found["value"]}

    async def calls(self, method: str, path: str) -> list[Mapping[str, Any]]:
        """The calls like these that were made since the control plane started."""
        found = await self.call("GET", "/local/requests")
        assert found
        return [
            each
            for each in found["value"]
            if each["method"] == method and fnmatchcase(each["path"].lower(), path.lower())
        ]

    # --- HTTPS ---

    async def call(self, method: str, path: str, **more: Any) -> dict[str, Any] | None:
        """The JSON of an answer; None where there is nothing (404). Fails for any other error."""
        url = self._addresses["azureml"]["url"] + path
        headers = {"Authorization": f"Bearer {await self._bearer()}"}
        more = {"params": _API_VERSION, **more}
        async with self._session.request(method, url, headers=headers, ssl=self._certificates, **more) as answer:
            if answer.status == 404:
                return None
            assert answer.status < 400, f"{method} {path}: {answer.status} {await answer.text()}"
            found: dict[str, Any] = await answer.json() if answer.content_type == "application/json" else {}
            return found

    async def _names(self, path: str) -> list[str]:
        found = await self.call("GET", path)
        return [each["name"] for each in found["value"]] if found else []

    async def _bearer(self) -> str:
        if not self._token:
            identity = self._addresses["identity"]
            query = {
                "api-version": "2019-08-01",
                "resource": self._addresses["azureml"]["url"],
                "client_id": identity["client_ids"]["alice"],
            }
            header = {"X-IDENTITY-HEADER": identity["header"]}
            async with self._session.get(identity["endpoint"], params=query, headers=header) as answer:
                self._token = (await answer.json())["access_token"]
        return self._token

    def _endpoint(self, environment: str, name: str) -> str:
        return f"{self._addresses['workspaces'][environment]}/onlineEndpoints/{name}"


class HeldCall:
    """A call to Azure whose work is done and whose answer is held back."""

    def __init__(self, azure: Azure, method: str, path: str, fault: int) -> None:
        self._azure = azure
        self._method = method
        self._path = path
        self._fault = fault

    async def reached(self, seconds: float = DEADLINE) -> None:
        """Wait until somebody has made the call."""
        await until(lambda: self._azure.has_struck(self._fault), f"{self._method} {self._path}", seconds)

    async def release(self) -> None:
        """Let the answer go."""
        await self._azure.call("DELETE", f"/local/faults/{self._fault}")

    async def next(self) -> "HeldCall":
        """The next call like this, which is held instead: this one is released."""
        following = await self._azure.hold(self._method, self._path)
        await self.release()
        return following

    async def is_under_way(self) -> bool:
        """Whether somebody has made the call and still waits for the answer."""
        if not await self._azure.has_struck(self._fault):
            return False
        return any(call["status"] == 0 for call in await self._azure.calls(self._method, self._path))


def client_of(addresses: Mapping[str, Any], environment: str) -> MLClient:
    """A person's client. The SDK remembers clouds by name for ever, so each has a name of its own."""
    parts = addresses["workspaces"][environment].split("/")
    cloud = {key: value for key, value in addresses["azureml"]["cloud"].items() if key != "name"}
    return MLClient(
        ManagedIdentityCredential(client_id=addresses["identity"]["client_ids"]["alice"]),
        subscription_id=parts[2],
        resource_group_name=parts[4],
        workspace_name=parts[8],
        show_progress=False,
        cloud=f"LocalCloud{addresses['ports']['azureml']}",
        cloud_metadata=cloud,
    )
