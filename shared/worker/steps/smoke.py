"""Sends the stage's smoke requests to the new deployment before it gets any traffic."""

import json
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from shared.config.smoke_requests import SmokeRequest
from shared.core.messages import Failed, FailureKind, Outcome, Retry, Succeeded, as_evidence
from shared.ports import Answer
from shared.worker import container_log
from shared.worker.order import Step
from shared.worker.smoke_file import difference, read
from shared.worker.target import Target

#: Seconds that all answers of one poll may take together. After that no further request is sent.
MOST_SECONDS = 60.0

#: How many failures are shown.
MOST_SHOWN = 5
LONGEST_SHOWN = 300

#: Statuses of an endpoint whose routes are still settling, and for how many polls they are tolerated.
SETTLING = (429, 502, 503, 504)
SETTLING_POLLS = 5
SETTLING_PAUSE = timedelta(seconds=5)


@dataclass(frozen=True)
class Smoked:
    """The results of the requests."""

    requests: int = 0  #: that were to be sent
    answers: int = 0
    slowest_ms: float | None = None
    median_ms: float | None = None
    failures: int = 0


def run(target: Target) -> Outcome:
    smoke = target.stage.smoke
    if smoke is None or target.smoke_file is None:
        return Succeeded(as_evidence(Smoked()))
    requests = read(target.smoke_file, smoke.tolerance)
    answers = _ask(target, requests)
    unsettled = [answer for answer in answers if answer.status in SETTLING]
    if unsettled and target.command.poll <= SETTLING_POLLS:
        return Retry(SETTLING_PAUSE, f"deployment {target.deployment} is not ready yet: status {unsettled[0].status}")
    evidence = _figures(len(requests), answers)
    faults = _faults(zip(requests, answers, strict=False), smoke.max_latency)
    if faults:
        return _failed(target, faults, evidence, crashed=any(answer.status != 200 for answer in answers))
    if len(answers) < len(requests):
        return Failed(
            f"Deployment {target.deployment} answered only {len(answers)} of {len(requests)} smoke requests within "
            f"{MOST_SECONDS:g} s. Use fewer requests or a faster instance_type.",
            FailureKind.TIMEOUT,
            "\n".join(container_log.chosen(_log(target))),
            evidence=as_evidence(evidence),
        )
    return Succeeded(as_evidence(evidence))


def _ask(target: Target, requests: list[SmokeRequest]) -> list[Answer]:
    """The answers that came in time, in the order of the requests. Stops after one from a settling endpoint."""
    answers: list[Answer] = []
    for answer in target.workspace.score(target.endpoint, target.deployment, (each.request for each in requests)):
        answers.append(answer)
        if answer.status in SETTLING or sum(each.seconds for each in answers) > MOST_SECONDS:
            break
    return answers


def _faults(asked: Iterable[tuple[SmokeRequest, Answer]], max_latency: timedelta | None) -> list[str]:
    """What is wrong with the answers, with the line of the request."""
    faults = []
    for request, answer in asked:
        fault = _fault(request, answer)
        if fault is None and max_latency and answer.seconds > max_latency.total_seconds():
            fault = f"took {answer.seconds * 1000:.0f} ms, more than {max_latency.total_seconds() * 1000:.0f} ms"
        if fault:
            faults.append(f"line {request.line}: {fault}")
    return faults


def _fault(request: SmokeRequest, answer: Answer) -> str | None:
    if answer.status != 200:
        return f"status {answer.status}: {answer.body[:LONGEST_SHOWN]}"
    if not request.expects:
        return None
    got = _parsed(answer.body)
    found = difference(request.expected, got, request.tolerance)
    if not found:
        return None
    return f"{found} (expected {_shown(request.expected)}, got {_shown(got)})"


def _parsed(body: str) -> Any:
    """An answer as JSON, or as text if it is not JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body


def _failed(target: Target, faults: list[str], evidence: Smoked, crashed: bool) -> Failed:
    """The failure, with the end of the container's log, which is deleted with the deployment. `crashed`: an answer was
    an error."""
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    log = _log(target)
    cause = container_log.cause_and_place(log) if crashed else None
    said = f" Its log has the cause: {cause.rstrip('. ')}." if cause else ""
    return Failed(
        f"Deployment {target.deployment} failed the smoke requests: {faults[0]}{more}.{said}",
        FailureKind.REFUSED,
        diagnosis="\n".join([*faults[:MOST_SHOWN], *_below(container_log.chosen(log))]),
        evidence=as_evidence(replace(evidence, failures=len(faults))),
    )


def _log(target: Target) -> str:
    return container_log.read(target.workspace, target.endpoint, target.deployment)


def _below(lines: list[str]) -> list[str]:
    return ["", "The end of its log:", *lines] if lines else []


def _figures(asked: int, answers: list[Answer]) -> Smoked:
    milliseconds = [answer.seconds * 1000 for answer in answers]
    if not milliseconds:
        return Smoked(asked)
    return Smoked(asked, len(answers), round(max(milliseconds), 1), round(statistics.median(milliseconds), 1))


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:LONGEST_SHOWN]


STEP = Step("smoke", run, Smoked, Target)
