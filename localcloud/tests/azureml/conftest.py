"""A control plane as a real process, and the unmodified SDK's clients for it."""

import json
import os
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from azure.core.credentials import AccessToken

from localcloud.azureml.certificates import server_context
from localcloud.processes import LEASH

with warnings.catch_warnings():
    # The SDK's own use of marshmallow warns while it is imported.
    warnings.simplefilter("ignore")
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import (
        CodeConfiguration,
        Environment,
        ManagedOnlineDeployment,
        ManagedOnlineEndpoint,
        Model,
    )

#: Of the virtual environment that jobs and deployments run in.
COMPUTE_PYTHON = Path(__file__).parents[3] / ".venv-compute" / "bin" / "python"
DEADLINE = 300.0  # seconds; they only end a wait that hangs
TOKEN_KEY = "a key for tokens that is long enough for HS256"
SUBSCRIPTIONS = {"ws-dev": "00000000-0000-0000-0000-00000000000d", "ws-test": "00000000-0000-0000-0000-00000000000e"}
SCORING = """
import json, os
from pathlib import Path

def init():
    global greeting
    greeting = next(Path(os.environ["AZUREML_MODEL_DIR"]).rglob("greeting.txt")).read_text()
    if greeting == "crash":
        raise RuntimeError("the greeting is not for reading")

def run(data):
    if "fail" in data:
        raise ValueError("asked to fail")
    return {"greeting": greeting, "rows": len(json.loads(data)["data"])}
"""


class StaticCredential:
    """Gives tokens as the identity part would, signed with a key of choice."""

    def __init__(self, client_id: str, key: str = TOKEN_KEY) -> None:
        self._client_id = client_id
        self._key = key

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        expiry = int(time.time()) + 3600
        audience = scopes[0].removesuffix("/.default").rstrip("/")
        claims = {"aud": audience, "appid": self._client_id, "oid": f"object-{self._client_id}", "exp": expiry}
        return AccessToken(jwt.encode(claims, self._key, "HS256"), expiry)


class ControlPlane:
    """One process; it keeps its folder and, once chosen, its port over restarts."""

    def __init__(self, folder: Path, certificates: Path, **settings: Any) -> None:
        self.folder = folder
        self.data = folder / "data"
        shutil.copytree(certificates, self.data)
        (folder / "token.key").write_text(TOKEN_KEY)
        self.settings = {
            "workspaces": [{"id": workspace_id(name)} for name in SUBSCRIPTIONS],
            "registries": [{"name": "contoso-ml"}],
            "deployment_seconds": 0.4,
            "python": str(COMPUTE_PYTHON),
            "token_key": "token.key",
            **settings,
        }
        self.port = 0
        self.session = requests.Session()
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0

    @property
    def base_url(self) -> str:
        return f"https://localhost:{self.port}"

    def start(self) -> None:
        (self.folder / "config.json").write_text(json.dumps(self.settings))
        self._starts += 1
        log = self.folder / f"log-{self._starts}.txt"
        command = ["-m", "localcloud", "azureml", "--port", str(self.port), "--data", str(self.data)]
        # On a leash, so that it does not outlive these tests however they end.
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-I", "-S", str(LEASH), str(log), "1000000", str(Path.cwd())),
                *(sys.executable, *command, "--config", str(self.folder / "config.json")),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        until(lambda: "ready on" in log.read_text() if log.exists() else False, log)
        self.port = int(log.read_text().split("ready on https://localhost:")[1].split()[0])

    def stop(self) -> None:
        self._end("stop 10")

    def kill(self) -> None:
        self._end("kill")

    def _end(self, order: str) -> None:
        if self._process and self._process.stdin:
            self._process.stdin.write(f"{order}\n".encode())
            self._process.stdin.close()
            self._process.wait(DEADLINE)
            self._process = None

    def client(self, workspace: str = "ws-dev", identity: str = "ann") -> MLClient:
        return MLClient(
            StaticCredential(identity), SUBSCRIPTIONS[workspace], f"rg-{workspace}", workspace, **self._cloud()
        )

    def registry(self, identity: str = "ann") -> MLClient:
        return MLClient(StaticCredential(identity), registry_name="contoso-ml", **self._cloud())

    def _cloud(self) -> dict[str, Any]:
        name = f"LocalCloud{self.port}"  # a name that the SDK knows already cannot be given other addresses
        os.environ["AZUREML_CURRENT_CLOUD"] = name
        known = name in _known_clouds
        _known_clouds.add(name)
        return {"cloud": name} if known else {"cloud": name, "cloud_metadata": self.cloud_metadata}

    @property
    def cloud_metadata(self) -> dict[str, str]:
        return {
            "azure_portal": "https://portal.local.test/",
            "resource_manager": self.base_url,
            "active_directory": f"{self.base_url}/",
            "aml_resource_id": "https://ml.local.test",
            "storage_endpoint": "storage.local.test",
            "registry_discovery_endpoint": f"{self.base_url}/",
        }

    def call(self, method: str, path: str, identity: str = "ann", **arguments: Any) -> requests.Response:
        """A plain request, where the SDK hides what matters."""
        token = StaticCredential(identity).get_token(self.base_url).token
        url = path if path.startswith("https:") else self.base_url + path
        headers = {"Authorization": f"Bearer {token}", **arguments.pop("headers", {})}
        return self.session.request(method, url, headers=headers, timeout=DEADLINE, **arguments)

    def fault(self, kind: str, **settings: Any) -> None:
        response = self.call("POST", "/local/faults", json={"kind": kind, **settings})
        assert response.status_code == 201, response.text


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lets the SDK use what the packages that it pins will drop one day."""
    ignored = (
        "ignore::marshmallow.warnings.RemovedInMarshmallow4Warning",
        "ignore:The use of a 'BlobProperties':DeprecationWarning",
        "ignore:content_as_bytes is deprecated:DeprecationWarning",
    )
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            for warning in ignored:
                item.add_marker(pytest.mark.filterwarnings(warning))


_known_clouds: set[str] = set()


def workspace_id(name: str) -> str:
    return (
        f"/subscriptions/{SUBSCRIPTIONS[name]}/resourceGroups/rg-{name}"
        f"/providers/Microsoft.MachineLearningServices/workspaces/{name}"
    )


def until(condition: Callable[[], Any], what: object = "what was waited for", seconds: float = DEADLINE) -> Any:
    """The first true value of the condition; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            words = what.read_text() if isinstance(what, Path) and what.exists() else what
            raise AssertionError(f"not within {seconds:g} s: {words}")
        time.sleep(0.03)
    return value


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One certificate authority for all control planes, since the SDK is told of one only."""
    folder = tmp_path_factory.mktemp("certificates")
    server_context(folder)
    return folder


@pytest.fixture(scope="module", autouse=True)
def _trusted(certificates: Path) -> Iterator[None]:
    """For no longer than a module: other tests of this process have other clouds."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("REQUESTS_CA_BUNDLE", str(certificates / "ca.pem"))
        environment.setenv("AZUREML_CURRENT_CLOUD", "AzureCloud")
        yield


Plane = Callable[..., ControlPlane]


@pytest.fixture
def plane(tmp_path_factory: pytest.TempPathFactory, certificates: Path) -> Iterator[Plane]:
    """Starts a control plane with settings of one's own."""
    planes: list[ControlPlane] = []

    def start(**settings: Any) -> ControlPlane:
        one = ControlPlane(tmp_path_factory.mktemp("azureml"), certificates, **settings)
        planes.append(one)
        one.start()
        return one

    yield start
    for one in planes:
        one.stop()


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory, certificates: Path) -> Iterator[ControlPlane]:
    """A control plane where everybody may do everything, shared by the tests: each uses names of its own."""
    one = ControlPlane(tmp_path_factory.mktemp("azureml"), certificates)
    one.start()
    yield one
    one.stop()


Greeting = Callable[[str], Path]


@pytest.fixture
def greeting(tmp_path: Path) -> Greeting:
    """Makes the folder of a model that greets with these words."""

    def make(words: str) -> Path:
        folder = tmp_path / f"model-{words}"
        folder.mkdir(exist_ok=True)
        (folder / "greeting.txt").write_text(words)
        return folder

    return make


@pytest.fixture
def scoring(tmp_path: Path) -> Path:
    folder = tmp_path / "scoring"
    folder.mkdir()
    (folder / "score.py").write_text(SCORING)
    return folder


class Endpoint:
    """One online endpoint in `ws-test` with deployments of greeting models."""

    def __init__(self, plane: ControlPlane, name: str, scoring: Path, greeting: Greeting) -> None:
        self.plane = plane
        self.name = name
        self.path = f"{workspace_id('ws-test')}/onlineEndpoints/{name}"
        self._scoring = scoring
        self._greeting = greeting
        self.client.environments.create_or_update(Environment(name="inference", version="1", image="image"))

    @property
    def client(self) -> MLClient:
        return self.plane.client("ws-test")

    def create(self) -> None:
        self.client.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=self.name, auth_mode="key"))
        until(lambda: self.state() == "Succeeded")

    def state(self, deployment: str = "") -> str:
        return str(self.get(deployment)["properties"]["provisioningState"])

    def get(self, deployment: str = "") -> dict[str, Any]:
        """The raw answer of a GET of the endpoint or of a deployment."""
        path = f"{self.path}/deployments/{deployment}" if deployment else self.path
        response = self.plane.call("GET", f"{path}?api-version=2023-04-01-preview")
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.json()
        return body

    def model(self, words: str) -> str:
        model = Model(name=f"{self.name}-{words}", version="1", path=self._greeting(words))
        return str(self.client.models.create_or_update(model).id)

    def begin(self, deployment: str, words: str, model: str = "", **more: Any) -> None:
        """Starts a deployment of a model that greets with these words; `more` are its further settings."""
        self.client.online_deployments.begin_create_or_update(
            ManagedOnlineDeployment(
                name=deployment,
                endpoint_name=self.name,
                model=model or self.model(words),
                environment="azureml:inference:1",
                code_configuration=CodeConfiguration(code=str(self._scoring), scoring_script="score.py"),
                instance_type="Standard_DS3_v2",
                instance_count=1,
                **more,
            )
        )

    def deploy(self, deployment: str, words: str) -> None:
        self.begin(deployment, words)
        until(lambda: self.state(deployment) != "Creating")
        assert self.state(deployment) == "Succeeded", self.error(deployment)

    def error(self, deployment: str) -> dict[str, str]:
        """The error of the last operation, from the URL that the deployment itself tells."""
        uri = self.get(deployment)["properties"]["properties"]["AzureAsyncOperationUri"]
        error: dict[str, str] = self.plane.call("GET", uri).json().get("error", {})
        return error

    def route(self, **traffic: int) -> None:
        client = self.client
        endpoint = client.online_endpoints.get(self.name)
        endpoint.traffic = traffic
        client.online_endpoints.begin_create_or_update(endpoint)
        until(lambda: self.state() == "Succeeded")

    def score(self, deployment: str = "", key: str = "", data: str = '{"data": [1, 2]}') -> requests.Response:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key or self.key()}"}
        if deployment:
            headers["azureml-model-deployment"] = deployment
        uri = self.get()["properties"]["scoringUri"]
        return self.plane.session.post(uri, data=data, headers=headers, timeout=DEADLINE)

    def key(self) -> str:
        return str(self.plane.call("POST", f"{self.path}/listKeys").json()["primaryKey"])


NewEndpoint = Callable[..., Endpoint]


@pytest.fixture
def new_endpoint(scoring: Path, greeting: Greeting) -> NewEndpoint:
    """Makes an endpoint on a control plane."""

    def make(plane: ControlPlane, name: str) -> Endpoint:
        one = Endpoint(plane, name, scoring, greeting)
        one.create()
        return one

    return make
