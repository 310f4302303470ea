"""What every `LiveFiguresReader` must do: the adapter of Azure Monitor and of collected data, against the local cloud,
and the fake that the fast tests use."""

from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml.entities import Model

from shared.ports import ForbiddenError, LiveFigures, RecordedRequest, RejectedError, Workspace
from tests.cloud.conftest import DEPLOYMENT, SCORING, client
from tests.cloud.local_azure import STRANGER, LocalAzure, until
from tests.fakes.workspace import FakeWorkspace

COLLECTS = "data_collector: {collections: {request: {enabled: 'True'}, response: {enabled: 'True'}}}\n"
HOUR = timedelta(hours=1)


class Azure(ABC):
    """An endpoint with the deployments blue, which takes the traffic and records it, and green, which does neither."""

    workspace: Workspace
    endpoint: str

    @abstractmethod
    def ask(self, deployment: str, *numbers: Any) -> None:
        """Somebody asks for the sum of each list of numbers plus 10. The model fails for what is no list."""

    def figures(self, deployment: str, resources: bool = False) -> LiveFigures:
        now = datetime.now(UTC)
        return self.workspace.live_figures(self.endpoint, deployment, now - HOUR, now + HOUR, resources)

    def answers(self, deployment: str) -> dict[int, float]:
        """The number of answers by status."""
        total: dict[int, float] = {}
        for minute in self.figures(deployment).minutes:
            for status, number in minute.answers.items():
                total[status] = total.get(status, 0.0) + number
        return total


class FakeAzure(Azure):
    def __init__(self) -> None:
        self._fake = FakeWorkspace()
        self.workspace = self._fake
        self.endpoint = "figures"
        self._fake.has_endpoint(self.endpoint, {}, {"blue": 100})
        for name in ("blue", "green"):
            self._fake.has_deployment(self.endpoint, name, {})

    def ask(self, deployment: str, *numbers: Any) -> None:
        now, good = datetime.now(UTC), [each for each in numbers if isinstance(each, list)]
        answers = {200: len(good), 424: len(numbers) - len(good)}
        figures = {"latency_p50": 5.0, "latency_p95": 9.0, "latency_p99": 9.5, "cpu": 10.0, "memory": 20.0}
        there = {status: float(number) for status, number in answers.items() if number}
        self._fake.has_minutes(self.endpoint, deployment, now.replace(second=0, microsecond=0), 1, there, **figures)
        if deployment == "blue":
            recorded = self._fake.recorded.setdefault((self.endpoint, deployment), [])
            for each in good:
                name = f"id-{len(recorded)}"
                recorded.append(RecordedRequest(name, now, {"numbers": each}, {"sum": sum(each) + 10}))


class RealAzure(Azure):
    def __init__(self, azure: LocalAzure, name: str, folder: Path) -> None:
        dev, test = azure.workspace("dev"), azure.workspace("test")
        self.workspace, self.endpoint = test, f"e{name}"
        (folder / "model").mkdir()
        (folder / "model" / "model.json").write_text('{"plus": 10}')
        client("dev", azure).models.create_or_update(Model(name=name, version="1", path=folder / "model"))
        (folder / "scoring").mkdir()
        (folder / "scoring" / "score.py").write_text(SCORING)
        dev.start_share(name, "1")
        model = until(lambda: dev.registry_model(name, "1")).asset_id
        test.start_endpoint(self.endpoint, {})
        self._settled()
        for deployment, more in (("blue", COLLECTS), ("green", "")):
            file = folder / "deployment.yml"
            file.write_text(DEPLOYMENT + more)
            test.start_deployment(file, self.endpoint, deployment, model, {})
            until(lambda name=deployment: self._is_ready(name))  # type: ignore[misc]  # mypy sees no default
            self._settled()
        test.start_traffic(self.endpoint, {"blue": 100}, {})
        self._settled()

    def ask(self, deployment: str, *numbers: Any) -> None:
        list(self.workspace.score(self.endpoint, deployment, [{"numbers": each} for each in numbers]))

    def _settled(self) -> None:
        until(lambda: (one := self.workspace.endpoint(self.endpoint)) is not None and one.state == "Succeeded")

    def _is_ready(self, deployment: str) -> bool:
        found = self.workspace.deployment(self.endpoint, deployment)
        return found is not None and found.state == "Succeeded"


@pytest.fixture(scope="module")
def real(azure: LocalAzure, tmp_path_factory: pytest.TempPathFactory) -> RealAzure:
    return RealAzure(azure, "figures", tmp_path_factory.mktemp("figures"))


@pytest.fixture(params=["fake", "real"])
def azure_ml(request: pytest.FixtureRequest) -> Azure:
    found: Azure = FakeAzure() if request.param == "fake" else request.getfixturevalue("real")
    return found


def test_answers_are_counted_by_deployment_and_status(azure_ml: Azure) -> None:
    before = {name: azure_ml.answers(name) for name in ("blue", "green")}
    azure_ml.ask("blue", [1], [2], [3])
    azure_ml.ask("green", [1], "no list", "no list")

    def counted(name: str, status: int) -> float:
        return azure_ml.answers(name).get(status, 0.0) - before[name].get(status, 0.0)

    until(lambda: counted("blue", 200) == 3, "blue's answers")
    until(lambda: (counted("green", 200), counted("green", 424)) == (1, 2), "green's answers")


def test_a_minute_has_the_latencies_in_milliseconds_and_resources_if_they_are_asked_for(azure_ml: Azure) -> None:
    azure_ml.ask("blue", [1], [2])
    until(lambda: any(each.latency_p95 for each in azure_ml.figures("blue").minutes), "a latency")
    minute = next(each for each in azure_ml.figures("blue").minutes if each.latency_p95)
    assert 0 < (minute.latency_p50 or 0) <= (minute.latency_p95 or 0) <= (minute.latency_p99 or 0) < 30_000
    assert all(each.cpu is None and each.memory is None for each in azure_ml.figures("blue").minutes)

    def used() -> bool:
        return any(each.cpu is not None and each.memory for each in azure_ml.figures("blue", resources=True).minutes)

    until(used, "CPU and memory")


def test_minutes_are_in_order_and_each_is_there_once(azure_ml: Azure) -> None:
    azure_ml.ask("blue", [1], "no list")
    until(lambda: azure_ml.answers("blue").get(424), "the answers")
    found = azure_ml.figures("blue")
    times = [each.at for each in found.minutes]
    assert times == sorted(set(times))
    assert found.grain == timedelta(minutes=1)


def test_a_deployment_that_was_never_asked_has_no_minutes(azure_ml: Azure) -> None:
    now = datetime.now(UTC)
    found = azure_ml.workspace.live_figures(azure_ml.endpoint, "green", now - 48 * HOUR, now - 47 * HOUR, False)
    assert list(found.minutes) == []


def test_recorded_requests_come_back_with_their_answers_the_oldest_first(azure_ml: Azure) -> None:
    azure_ml.ask("blue", [20], [21], [22])
    until(lambda: _sums(azure_ml, 3) == [30, 31, 32], "the requests are recorded")
    found = azure_ml.workspace.recorded_requests(azure_ml.endpoint, "blue", datetime.now(UTC) + HOUR, 2)
    assert [each.request for each in found.requests] == [{"numbers": [21]}, {"numbers": [22]}]
    assert len({each.id for each in found.requests}) == 2


def test_requests_after_a_time_and_those_of_deployments_without_a_collector_are_not_there(azure_ml: Azure) -> None:
    azure_ml.ask("blue", [20])
    azure_ml.ask("green", [20])
    until(lambda: _sums(azure_ml, 1), "a request is recorded")
    workspace, later = azure_ml.workspace, datetime.now(UTC) + HOUR
    assert list(workspace.recorded_requests(azure_ml.endpoint, "blue", later - 2 * HOUR, 9).requests) == []
    assert list(workspace.recorded_requests(azure_ml.endpoint, "green", later, 9).requests) == []


def _sums(azure_ml: Azure, most: int) -> list[int]:
    found = azure_ml.workspace.recorded_requests(azure_ml.endpoint, "blue", datetime.now(UTC) + HOUR, most)
    return sorted(each.answer["sum"] for each in found.requests)


# --- what only the adapter can show -----------------------------------------------------------------------------------


def test_an_identity_without_the_right_is_refused(real: RealAzure, azure: LocalAzure) -> None:
    now = datetime.now(UTC)
    with pytest.raises(ForbiddenError):
        azure.workspace("test", STRANGER).live_figures(real.endpoint, "blue", now - HOUR, now, False)


def test_an_endpoint_that_is_gone_has_no_figures(real: RealAzure) -> None:
    now = datetime.now(UTC)
    with pytest.raises(RejectedError, match="no longer exists"):
        real.workspace.live_figures("gone", "blue", now - HOUR, now, False)


def test_few_calls_read_the_figures(real: RealAzure, azure: LocalAzure) -> None:
    def calls(resources: bool) -> int:
        return len(azure.calls(lambda: real.figures("blue", resources)))

    assert (calls(False), calls(True)) == (2, 3)
