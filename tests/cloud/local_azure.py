"""A local Azure ML and a managed identity endpoint as processes, used only over the wire."""

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypeVar

import requests

from localcloud.processes import LEASH
from shared.cloud.azureml import AzureMLWorkspace

#: Seconds. They only end a wait that hangs: the machine may be slow, and busy with the other tests.
DEADLINE = 300.0
REGISTRY = "contoso-ml"
WORKER = "aaaaaaaa-0000-0000-0000-000000000001"  #: client id of an identity with all rights
STRANGER = "aaaaaaaa-0000-0000-0000-000000000002"  #: client id of an identity without any
DORA = "aaaaaaaa-0000-0000-0000-000000000003"  #: client id and object id of a person who trains models
HEADER = "a secret of this test"

T = TypeVar("T")


def until(look: Callable[[], T | None], what: str = "what was waited for") -> T:
    """The first answer that is neither None nor False. Fails if there is none in time."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {DEADLINE:g} s: {what}")


class Part:
    """One part of the local cloud as a process; `ready` is where it says that it listens."""

    def __init__(self, name: str, folder: Path, config: dict[str, Any], *arguments: str) -> None:
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.json").write_text(json.dumps(config))
        self._log = folder / f"{name}.log"
        command = [sys.executable, "-m", "localcloud", name, "--port", "0", "--config", str(folder / f"{name}.json")]
        leash = [sys.executable, "-I", "-S", str(LEASH), str(self._log), "10000000", str(Path.cwd())]
        self._process = subprocess.Popen(
            [*leash, *command, *arguments], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        self.ready = until(self._address, f"{name} is ready, see {self._log}")

    def stop(self) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait(DEADLINE)

    def _address(self) -> str | None:
        said = self._log.read_text() if self._log.exists() else ""
        _, found, address = said.partition(f"{self._log.stem} ready on ")
        return address.split()[0] if found and "\n" in address else None


#: Where dev's events go.
INTAKE = "http://127.0.0.1:7071/api/events?code=secret"


class LocalAzure:
    """Two workspaces, `ws-dev` and `ws-test`, and a registry."""

    def __init__(self, folder: Path) -> None:
        key = folder / "token.key"
        identities: list[dict[str, Any]] = [
            {"name": "worker", "client_id": WORKER},
            {"name": "stranger", "client_id": STRANGER},
            {"name": "dora", "client_id": DORA, "principal_id": DORA, "is_person": True},
        ]
        self._identity = Part("identity", folder, {"identities": identities, "header": HEADER, "token_key": str(key)})
        roles = [(role, workspace_id(n)) for n in ("dev", "test") for role in ("AzureML Data Scientist", "Reader")]
        roles += [(role, f"registries/{REGISTRY}") for role in ("AzureML Registry User", "Reader")]
        roles.append(("Reader", f"/subscriptions/{workspace_id('test').split('/')[2]}"))
        config = {
            "workspaces": [
                {
                    "id": workspace_id("dev"),
                    "event_subscriptions": [{"name": "to-intake", "endpoint": INTAKE}],
                    "datastore_secrets": "AccountKey",
                },
                {"id": workspace_id("test"), "computes": ["cpu"]},
            ],
            "registries": [{"name": REGISTRY}],
            "token_key": str(key),
            "role_assignments": [
                {"principal": who, "role": role, "scope": scope} for role, scope in roles for who in (WORKER, DORA)
            ],
            "deployment_seconds": 0.3,
            "endpoint_update_seconds": 1.0,
            "python": str(Path(__file__).parents[2] / ".venv-compute" / "bin" / "python"),
        }
        self.data = folder / "data"
        self._azureml = Part("azureml", folder, config, "--data", str(self.data))
        self.address = self._azureml.ready
        self.environment = {
            "REQUESTS_CA_BUNDLE": str(self.data / "ca.pem"),
            "IDENTITY_ENDPOINT": self._identity.ready,
            "IDENTITY_HEADER": HEADER,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._azureml.stop()
        self._identity.stop()

    @property
    def cloud(self) -> dict[str, str]:
        """What the setting AZUREML_CLOUD holds."""
        return {
            "name": f"LocalCloud{self.address.rsplit(':', 1)[1]}",
            "azure_portal": "https://portal.local.test/",
            "resource_manager": self.address,
            "active_directory": f"{self.address}/",
            "aml_resource_id": "https://ml.local.test",
            "storage_endpoint": "storage.local.test",
            "registry_discovery_endpoint": f"{self.address}/",
        }

    def workspace(self, name: str, client_id: str = WORKER) -> AzureMLWorkspace:
        return AzureMLWorkspace(workspace_id(name), REGISTRY, client_id, self.cloud)

    def fault(self, kind: str, **settings: Any) -> None:
        """Switches a fault on; see `localcloud/azureml/faults.py`."""
        self._control("POST", "faults", json={"kind": kind, **settings})

    def no_faults(self) -> None:
        self._control("DELETE", "faults")

    def calls(self, made_by: Callable[[], object]) -> list[str]:
        """The requests to the control plane meanwhile, as `METHOD path`."""
        self._control("DELETE", "requests")
        made_by()
        return [f"{call['method']} {call['operation']}" for call in self._control("GET", "requests").json()["value"]]

    def _control(self, method: str, path: str, **more: Any) -> requests.Response:
        url, bundle = f"{self.address}/local/{path}", str(self.data / "ca.pem")
        response = requests.request(method, url, timeout=DEADLINE, verify=bundle, **more)
        response.raise_for_status()
        return response


def workspace_id(name: str) -> str:
    subscription = uuid.uuid5(uuid.NAMESPACE_DNS, name)
    return (
        f"/subscriptions/{subscription}/resourceGroups/rg-{name}"
        f"/providers/Microsoft.MachineLearningServices/workspaces/ws-{name}"
    )
