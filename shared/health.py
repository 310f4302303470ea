"""Whether this app can do its work, looked at from the inside: with its settings, its identities and its rights."""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.config import ConfigurationFaults
from shared.core.people import OPERATOR, Person
from shared.http.principal import SWITCHED_ON, identified
from shared.http.refusals import ForbiddenError
from shared.parts import Parts
from shared.ports import Store, Workspace
from shared.queues import EVENTS_QUEUE, DeadLetters, steps_queue

if TYPE_CHECKING:
    from shared.config import Configuration

#: For all checks together. They run side by side; what has not answered by then is told so.
LONGEST_SECONDS = 20.0
#: Nothing has this name: looking for it shows that one may look.
NOBODY = "mlpromote-health"


@dataclass(frozen=True)
class Check:
    """One thing to look at. `look` gives what it saw in words, or raises what is wrong."""

    what: str
    name: str
    look: Callable[[], str]
    todo: str = ""  #: what to do, where the error does not say


@dataclass(frozen=True)
class Finding:
    """What came of a check. `todo` is empty where there is nothing to do or `says` has it."""

    what: str
    name: str
    ok: bool
    says: str
    todo: str = ""


@dataclass(frozen=True)
class Health:
    """Looks at the parts of one app. The callables give a part, or raise why it cannot be had."""

    settings: Mapping[str, str]
    parts: Parts
    #: Names of all environments of the configuration.
    environments: Sequence[str]
    folder: Path  #: of the configuration
    configuration: Callable[[], "Configuration"]
    store: Callable[[], Store]
    dead_letters: Callable[[], DeadLetters]
    workspace: Callable[[str], Workspace]
    sign_in_required: bool
    longest_seconds: float = LONGEST_SECONDS

    def report(self, by: Person | None) -> dict[str, Any]:
        """The JSON value of the answer. Raises `ForbiddenError` for who comes without a key and is no operator."""
        if self.sign_in_required and OPERATOR not in identified(by).roles:
            raise ForbiddenError(f"Without a function key, this needs the role {OPERATOR}.")
        findings = list(carried_out(list(self._checks()), self.longest_seconds))
        return {
            "healthy": all(finding.ok for finding in findings),
            "caller": {"name": by.name, "roles": list(by.roles)} if by else None,
            "checks": [vars(finding) for finding in findings],
        }

    def _checks(self) -> Iterator[Check]:
        """Only what this app uses: a worker alone has neither the whole configuration nor the store."""
        if self.parts.coordinator:
            yield Check("configuration", "promotion.yml", self._see_configuration, "Mend promotion.yml.")
            if self._is_configured():
                yield Check("configuration", "files", self._see_files, "Deploy the app with these files.")
                yield Check("sign-in", "App Service authentication", self._see_sign_in)
            yield Check("store", "promotions", self._write, "The store must be there, and the app may write to it.")
        queues = [EVENTS_QUEUE, *map(steps_queue, self.environments)] if self.parts.coordinator else []
        for name in dict.fromkeys([*queues, *map(steps_queue, self.parts.environments)]):
            yield Check("queue", name, partial(self._peek, name), "See the setting ServiceBus.")
        for name in self.parts.environments:
            yield Check("workspace", name, partial(self._read_workspace, name))
            yield Check("registry", name, partial(self._read_registry, name))

    def _is_configured(self) -> bool:
        try:
            self.configuration()
        except ConfigurationFaults:
            return False
        return True

    def _see_configuration(self) -> str:
        routes = self.configuration().routes.values()
        return "; ".join(
            f"{route.name}: {' → '.join([route.source, *(stage.name for stage in route.stages)])}" for route in routes
        )

    def _see_files(self) -> str:
        stages = [stage for route in self.configuration().routes.values() for stage in route.stages]
        named = [stage.deployment for stage in stages] + [stage.smoke.requests for stage in stages if stage.smoke]
        missing = [file for file in dict.fromkeys(named) if not (self.folder / file).is_file()]
        if missing:
            raise FileNotFoundError(f"not there: {', '.join(missing)}")
        return f"{len(set(named))} files are there"

    def _see_sign_in(self) -> str:
        if self.settings.get(SWITCHED_ON, "").lower() == "true":
            return "on"
        asking = [
            f"{route.name}.{stage.name}"
            for route in self.configuration().routes.values()
            for stage in route.stages
            if stage.approval
        ]
        if asking:
            raise PermissionError(
                f"off, so that nobody can give the approval for which {', '.join(asking)} ask: switch it on"
            )
        return "off: with a function key one may read and start, nothing else"

    def _write(self) -> str:
        self.store().claim(NOBODY, "")
        return "can be written"

    def _peek(self, name: str) -> str:
        dead = self.dead_letters().look(name, 1, 1)
        return "reachable, with dead letters: see the failures" if dead else "reachable, no dead letters"

    def _read_workspace(self, environment: str) -> str:
        self.workspace(environment).model_versions(NOBODY)
        return "models can be read"

    def _read_registry(self, environment: str) -> str:
        self.workspace(environment).registry_model(NOBODY, "1")
        return "models can be read"


def carried_out(checks: Sequence[Check], seconds: float) -> Iterator[Finding]:
    """What came of each check, in their order, after so many seconds at the latest."""
    done: queue.SimpleQueue[tuple[int, list[Finding]]] = queue.SimpleQueue()
    for number, check in enumerate(checks):
        # A thread that hangs must not keep the process from ending.
        threading.Thread(target=lambda n=number, c=check: done.put((n, _result(c))), daemon=True).start()
    deadline = time.monotonic() + seconds
    found: dict[int, list[Finding]] = {}
    while len(found) < len(checks):
        try:
            number, findings = done.get(timeout=max(deadline - time.monotonic(), 0))
        except queue.Empty:
            break
        found[number] = findings
    for number, check in enumerate(checks):
        late = Finding(check.what, check.name, False, f"no answer within {seconds:g} s", check.todo)
        yield from found.get(number, [late])


def _result(check: Check) -> list[Finding]:
    try:
        return [Finding(check.what, check.name, True, check.look())]
    except ConfigurationFaults as faults:
        return [Finding(check.what, fault.place, False, fault.sentence, check.todo) for fault in faults.faults]
    except Exception as fault:  # noqa: BLE001  # whatever it is: to find it is what the check is for
        return [Finding(check.what, check.name, False, str(fault) or type(fault).__name__, check.todo)]
