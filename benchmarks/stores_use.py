"""Uses one kind of store as the app does, in its own process, and prints how long it took, as JSON.

`python -m benchmarks.stores_use sqlite FOLDER LANES` or `… tables FOLDER LANES`: an empty folder, and the number of
lanes in the large store, with one promotion each.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

from azure.core.pipeline.transport import RequestsTransport
from azure.data.tables import TableServiceClient

from localcloud.testing import azurite
from shared.cloud.sqlite import SqliteStore
from shared.cloud.tables import TablesStore
from shared.coordinator.lanes import Lanes
from shared.core.events import LaneEvent, PromotionRequested
from shared.core.messages import Candidate, Kind, LaneKey, Outcome, RunStep, Succeeded
from shared.core.plan import PlanSettings, plan_for
from shared.core.promotion import Lane, Promotion, PromotionStatus, StageRun, StepRun
from shared.core.promotion_ids import promotion_id
from shared.ports import PromotionFilter, Store
from shared.worker.polls import poll_again
from tests.core.driver import LaneDriver

FEW = 100
PAGE = 50
ROUNDS = 15
#: The queries of pages. Each matches more promotions than fit on a page, even in the small store.
ASKED = {
    "the newest": PromotionFilter(),
    "of a route": PromotionFilter(route="route-1"),
    "under way": PromotionFilter(status=PromotionStatus.RUNNING),
}
CALLERS = 8
#: Each lane takes one promotion through both stages while a rate is measured.
LANES_AT_ONCE = 24
SHORT_DEPLOYMENT = timedelta(seconds=10)
DEPLOYMENT = timedelta(minutes=20)
#: Steps that wait briefly for Azure, and so are polled twice, as the benchmark `waiting` counts.
LOOKED_AT_TWICE = ("share", "shift")

BEGAN = datetime(2026, 11, 20, tzinfo=UTC)


@dataclass
class Pages:
    """The duration of pages in seconds, and the number of requests to the table service."""

    few: list[float] = field(default_factory=list)
    many: list[float] = field(default_factory=list)
    requests_few: list[int] = field(default_factory=list)
    requests_many: list[int] = field(default_factory=list)


@dataclass
class Use:
    """The results for one kind of store."""

    lanes: int  #: in the large store
    pages: dict[str, Pages] = field(default_factory=dict)  #: by query
    rates: dict[str, float] = field(default_factory=dict)  #: per second
    overdue: dict[str, float] = field(default_factory=dict)  #: seconds, in the large store
    saves: int = 0  #: of a promotion with two deployments that take 20 minutes each
    requests: int = 0  #: to the table service, for that promotion


class Counting(RequestsTransport):  # type: ignore[misc]  # the SDK's types do not say what it is
    """Counts what is sent to the table service."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = 0
        self._lock = Lock()

    def send(self, request: Any, **options: Any) -> Any:
        with self._lock:
            self.sent += 1
        return super().send(request, **options)


@dataclass
class Made:
    """A store, and its transport."""

    store: Store
    transport: Counting | None = None

    def sent(self) -> int:
        return self.transport.sent if self.transport else 0


class Nowhere:
    """The `Bus` port; sends nothing."""

    def check(self) -> None:
        return

    def send_events(self, events: Any) -> None: ...
    def send_commands(self, commands: Any) -> None: ...
    def send_reports(self, environment: str, reports: Any) -> None: ...


@contextmanager
def stores(kind: str, folder: Path) -> Iterator[Callable[[str], Made]]:
    """Yield a function that creates empty stores of a kind, each with a name."""
    if kind == "sqlite":
        yield lambda name: Made(SqliteStore(folder / f"{name}.sqlite"))
        return
    with azurite.running(folder) as account:

        def table(name: str) -> Made:
            transport = Counting()
            service = TableServiceClient.from_connection_string(account.connection_string, transport=transport)
            return Made(TablesStore(service.create_table(name)), transport)

        yield table


def requested(lane: LaneKey, number: int) -> PromotionRequested:
    """A promotion through a test and a prod stage."""
    candidate = Candidate(Kind.MODEL, lane.model, str(number), "dev", "/subscriptions/d/workspaces/dev")
    stages = []
    for name, after in (("test", ()), ("prod", ("test",))):
        plan = plan_for(Kind.MODEL, PlanSettings(), environment=name, source="dev", first=not after)
        settings = {"endpoint": f"{lane.model}-{name}", "validate": [{"metric": "auc", "at_least": 0.82}]}
        stages.append(StageRun(name, name, f"{lane.model}-{name}", after, settings, tuple(map(StepRun, plan))))
    created = BEGAN + timedelta(seconds=number)
    identifier = promotion_id(lane, candidate)
    return PromotionRequested(
        Promotion(identifier, lane, candidate, tuple(stages), "event-grid", "hash", created, created)
    )


class Caller(LaneDriver):
    """Drives one promotion as messages do: it answers each command that a decision sends. Each poll advances its
    clock."""

    def __init__(self, store: Store, lane: LaneKey, deployment: timedelta) -> None:
        super().__init__(Lane(lane), self._answer, BEGAN)
        self.events = 0  #: number of events applied
        self._lanes = Lanes(store, Nowhere(), lambda: self.now)
        self._sent: Sequence[RunStep] = ()
        self._deployment = deployment
        self._deploying = BEGAN

    def request(self, number: int) -> None:
        self.apply(requested(self.lane.key, number))

    def promote(self, number: int) -> int:
        """Run a complete promotion, and return the number of events applied."""
        self.request(number)
        self.run()
        return self.events

    def apply(self, event: LaneEvent) -> None:
        decision = self._lanes.apply(event)
        self.lane, self._sent = decision.lane, decision.commands
        self.events += 1

    def in_flight(self) -> Sequence[RunStep]:
        return self._sent

    def _answer(self, command: RunStep) -> Outcome:
        if command.poll == 1:
            self._deploying = self.now
        deploys = command.step == "deploy" and self.now - self._deploying < self._deployment
        if deploys or (command.step in LOOKED_AT_TWICE and command.poll == 1):
            return poll_again(command, f"{command.step} of {command.promotion} is under way")
        return Succeeded({"saw": command.step, "metrics": {"auc": 0.91, "f1": 0.88}})


def key(number: int) -> LaneKey:
    return LaneKey(f"route-{number % 2}", f"model-{number:05}")


def seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure(kind: str, folder: Path, lanes: int) -> Use:
    use = Use(lanes)
    with stores(kind, folder) as made:
        few, many = made("few"), made("many")
        _fill(few.store, FEW)
        use.rates[f"promotions started, each in its own lane, {CALLERS} callers"] = lanes / _fill(many.store, lanes)
        for turn in range(ROUNDS + 1):  # the first one only warms up
            for what, wanted in ASKED.items():
                page = use.pages.setdefault(what, Pages())
                for made_store, times, requests in (
                    (few, page.few, page.requests_few),
                    (many, page.many, page.requests_many),
                ):
                    sent = made_store.sent()
                    took = seconds(partial(made_store.store.promotions, wanted, PAGE, None))
                    if turn:
                        times.append(took)
                        requests.append(made_store.sent() - sent)
        use.overdue["all wait, none is overdue"] = seconds(lambda: many.store.overdue(BEGAN))
        use.overdue["all are overdue"] = seconds(lambda: many.store.overdue(BEGAN + timedelta(days=1)))

        whole = made("whole")
        use.saves = Caller(whole.store, key(0), DEPLOYMENT).promote(0)
        use.requests = whole.sent()
        rates = made("rates").store
        for callers in (1, CALLERS):
            use.rates[f"events of promotions, {callers} caller{'s' * (callers > 1)}"] = _rate(rates, callers)
    return use


def _fill(store: Store, lanes: int) -> float:
    """Start a promotion in each lane, and return the seconds it took."""
    with ThreadPoolExecutor(CALLERS) as pool:
        return seconds(lambda: list(pool.map(lambda n: Caller(store, key(n), DEPLOYMENT).request(n), range(lanes))))


def _rate(store: Store, callers: int) -> float:
    """Events per second, each loaded, decided and saved."""
    lanes = range(callers * 1000, callers * 1000 + LANES_AT_ONCE)
    began = time.perf_counter()
    with ThreadPoolExecutor(callers) as pool:
        events = sum(pool.map(lambda n: Caller(store, key(n), SHORT_DEPLOYMENT).promote(n), lanes))
    return events / (time.perf_counter() - began)


if __name__ == "__main__":
    used = measure(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
    sys.stdout.write(json.dumps(asdict(used)) + "\n")
