"""Online endpoints of a workspace with their deployments, in memory: what is started takes a number of polls, and
another operation is refused meanwhile."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from shared.config import plain_yaml
from shared.ports import (
    Answer,
    BusyError,
    Deployment,
    DeploymentFile,
    Endpoint,
    EndpointFile,
    EndpointSettings,
    RejectedError,
)
from tests.fakes.endpoints import endpoint_file, made_from, with_changes
from tests.fakes.monitors import FakeMonitors

#: Azure's limit, in per cent.
MOST_MIRRORED = 50


@dataclass(kw_only=True)
class FakeOnlineEndpoints(FakeMonitors):
    """State that tests set up and look at directly."""

    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    made: dict[tuple[str, str], Deployment] = field(default_factory=dict)  #: deployments by endpoint and name
    container_log: str = ""
    answer: Answer = field(default_factory=lambda: Answer(200, "{}", 0.01))
    answers: list[Answer] = field(default_factory=list)  #: returned first, in this order
    fails_to_deploy: str = ""  #: Azure ML's error for the next deployments, where it is not empty
    unread: str = ""  #: why that error cannot be read, where it is not empty
    keeps_state: set[str] = field(default_factory=set)  #: deployments whose present state does not change by itself
    asked: list[tuple[str, str | None, Any]] = field(default_factory=list)  #: endpoint, deployment and scoring request
    #: traffic and mirror, not shown before they are there
    _coming_traffic: dict[str, tuple[dict[str, int], dict[str, int]]] = field(default_factory=dict)

    # --- to set up ---

    def has_endpoint(self, name: str, tags: Mapping[str, str], traffic: Mapping[str, int] | None = None) -> Endpoint:
        self.endpoints[name] = Endpoint(
            name,
            "Succeeded",
            dict(traffic or {}),
            dict(tags),
            f"https://{name}/score",
            settings=made_from(EndpointSettings(), tags),
        )
        return self.endpoints[name]

    def has_deployment(self, endpoint: str, name: str, tags: Mapping[str, str], state: str = "Succeeded") -> Deployment:
        self.made[endpoint, name] = Deployment(name, state, dict(tags), "azureml://registries/reg/models/m/versions/1")
        return self.made[endpoint, name]

    # --- to look at ---

    def traffic(self, endpoint: str) -> dict[str, int]:
        """Per cent by deployment, with 0 for those that take none."""
        without = {deployment: 0 for there, deployment in self.made if there == endpoint}
        return without | dict(self.endpoints[endpoint].traffic)

    # --- the port ---

    def endpoint(self, name: str) -> Endpoint | None:
        self._called("endpoint")
        found = self.endpoints.get(name)
        if found and found.state in ("Creating", "Updating") and self._is_ready(("endpoint", name)):
            traffic, mirror = self._coming_traffic.pop(name, (found.traffic, found.mirror))
            found = self.endpoints[name] = replace(found, state="Succeeded", traffic=traffic, mirror=mirror)
        return (
            replace(found, traffic={each: share for each, share in found.traffic.items() if share}) if found else None
        )

    def endpoint_file(self, file: Path) -> EndpointFile:
        self._called("endpoint_file")
        return endpoint_file(file)

    def start_endpoint(self, name: str, tags: Mapping[str, str], file: Path | None = None) -> None:
        self._called("start_endpoint")
        settings = made_from(endpoint_file(file).settings if file else EndpointSettings(), tags)
        self.endpoints[name] = Endpoint(name, "Creating", {}, settings.tags, f"https://{name}/score", settings=settings)
        self._begin("endpoint", name)
        self._died("start_endpoint")

    def start_endpoint_change(self, name: str, file: Path) -> None:
        self._called("start_endpoint_change")
        found = self._idle(name)
        settings = with_changes(found.settings, endpoint_file(file).settings)
        self.endpoints[name] = replace(found, state="Updating", tags=settings.tags, settings=settings)
        self._begin("endpoint", name)
        self._died("start_endpoint_change")

    def start_traffic(self, endpoint: str, traffic: Mapping[str, int], mirror: Mapping[str, int]) -> None:
        self._called("start_traffic")
        found = self._idle(endpoint)
        states = {name: found.state for (there, name), found in self.made.items() if there == endpoint}
        missing = [name for name in traffic if states.get(name, "Deleting") == "Deleting"]
        if missing or sum(traffic.values()) not in (0, 100):
            raise RejectedError(f"traffic {dict(traffic)} cannot be given: {missing} missing")
        live = [name for name in mirror if traffic.get(name) or name not in states]
        if live or len(mirror) > 1 or any(share > MOST_MIRRORED for share in mirror.values()):
            raise RejectedError(f"requests cannot be mirrored to {dict(mirror)}")
        self.endpoints[endpoint] = replace(found, state="Updating")
        self._coming_traffic[endpoint] = dict(traffic), dict(mirror)
        self._begin("endpoint", endpoint)
        self._died("start_traffic")

    def deployments(self, endpoint: str) -> Sequence[Deployment]:
        self._called("deployments")
        names = [name for there, name in self.made if there == endpoint]
        return [found for name in names if (found := self._settled(endpoint, name))]

    def deployment(self, endpoint: str, name: str) -> Deployment | None:
        self._called("deployment")
        return self._settled(endpoint, name)

    def deployment_file(self, file: Path) -> DeploymentFile:
        self._called("deployment_file")
        if not file.is_file():
            raise RejectedError(f"There is no deployment file {file}")
        try:
            content = plain_yaml.load(file.read_text())
        except yaml.YAMLError as fault:
            raise RejectedError(f"The deployment file {file.name} cannot be read") from fault
        if not isinstance(content, dict):
            raise RejectedError(f"The deployment file {file.name} is no YAML mapping")
        code = (content.get("code_configuration") or {}).get("code")
        scoring = sorted(each for each in (file.parent / code).rglob("*") if each.is_file()) if code else []
        environment = content.get("environment")
        collections = (content.get("data_collector") or {}).get("collections") or {}
        collects = frozenset(name for name, each in collections.items() if str(each.get("enabled")).lower() == "true")
        is_short = isinstance(environment, str) and environment.startswith("azureml:") and "/" not in environment
        return DeploymentFile(
            (file, *scoring),
            content.get("instance_type"),
            content.get("instance_count"),
            collects,
            str(environment) if is_short else "",
        )

    def start_deployment(
        self, file: Path, endpoint: str, name: str, model: str, tags: Mapping[str, str], environment: str = ""
    ) -> None:
        self._called("start_deployment")
        self._idle(endpoint, name)
        asked = self.deployment_file(file)
        made = Deployment(name, "Creating", dict(tags), model)
        self.made[endpoint, name] = replace(
            made,
            instance_type=asked.instance_type,
            instances=asked.instances,
            environment=environment or asked.environment or None,
        )
        self.collecting[endpoint, name] = asked.collects
        self._begin("deployment", endpoint, name)
        self._died("start_deployment")

    def start_removal(self, endpoint: str, deployment: str) -> None:
        self._called("start_removal")
        found = self._idle(endpoint, deployment)
        if found.traffic.get(deployment):
            raise RejectedError(f"deployment {deployment} takes traffic")
        if (endpoint, deployment) in self.made:
            self.made[endpoint, deployment] = replace(self.made[endpoint, deployment], state="Deleting")
            self._begin("deployment", endpoint, deployment)
        self._died("start_removal")

    def logs(self, endpoint: str, deployment: str, lines: int) -> str:
        self._called("logs")
        return "\n".join(self.container_log.splitlines()[-lines:])

    def score(self, endpoint: str, deployment: str | None, requests: Iterable[Any]) -> Iterator[Answer]:
        self._called("score")
        if endpoint not in self.endpoints:
            raise RejectedError(f"endpoint {endpoint} is not there")
        for request in requests:
            self.asked.append((endpoint, deployment, request))
            yield self.answers.pop(0) if self.answers else self.answer

    # --- how it works ---

    def _is_deployed(self, endpoint: str, deployment: str) -> bool:
        return (endpoint, deployment) in self.made

    def _idle(self, endpoint: str, deployment: str | None = None) -> Endpoint:
        """The endpoint, with no operation under way on it, nor on the deployment: Azure ML refuses a second one."""
        found = self.endpoints.get(endpoint)
        if found is None:
            raise RejectedError(f"there is no endpoint {endpoint}")
        states = [found.state, *(each.state for key, each in self.made.items() if key == (endpoint, deployment))]
        if any(state in ("Creating", "Updating", "Deleting") for state in states):
            raise BusyError(f"endpoint {endpoint} is busy")
        return found

    def _settled(self, endpoint: str, name: str) -> Deployment | None:
        found = self.made.get((endpoint, name))
        if name in self.keeps_state:
            return found
        if found is None or not self._is_ready(("deployment", endpoint, name)):
            return found
        if found.state == "Deleting":
            del self.made[endpoint, name]
            return None
        if found.state == "Creating":
            state = "Failed" if self.fails_to_deploy else "Succeeded"
            error = "" if self.unread else self.fails_to_deploy
            found = self.made[endpoint, name] = replace(found, state=state, error=error, unread=self.unread)
        return found
