#!/usr/bin/env python3
"""Exercises a running app from outside: `scripts/smoke.py URL KEY`, with `make up`, `func start` or Azure.

It changes only the app's own records: its notification is about a model that no route takes, and it starts and replays
a version that does not exist, which fails at its first step. Needs nothing installed.
"""

import argparse
import base64
import json
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mlpromote.client import Client, NoAnswerError

PASSED, FAILED = 0, 1
#: Where Event Grid delivers.
EVENTS = "/api/events"
#: This workspace does not exist, so a notification from it starts nothing.
NO_WORKSPACE = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/smoke"
    "/providers/Microsoft.MachineLearningServices/workspaces/smoke"
)


class WrongError(Exception):
    """The app did not behave as it should; the text says how."""


class NotAskedError(Exception):
    """The check was skipped because something is missing; the text says what."""


@dataclass(frozen=True)
class Answer:
    """The app's answer; `body` is JSON, or text if it is not JSON."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass
class Smoke:
    """One run. `seconds`: the limit for each check, including a cold start."""

    url: str
    key: str
    token: str
    workspace: str
    model: str
    seconds: float
    run: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    promotion: str = ""  #: id of the one that was started

    # --- the checks, in order ---

    def the_app_answers(self) -> str:
        document = self._until(lambda: self._read("/api/openapi.json"), "an answer with 200")
        return f"{document['info']['title']}, {len(document['paths'])} paths"

    def the_webhook_agrees_to_get_events(self) -> str:
        event = self._event("Microsoft.EventGrid.SubscriptionValidationEvent", {"validationCode": self.run})
        answer = self._deliver([event], "SubscriptionValidation")
        _expect(answer, 200)
        if answer.body != {"validationResponse": self.run}:
            raise WrongError(f"it should repeat the code {self.run}, but said {answer.body!r}")
        return "Event Grid schema"

    def the_webhook_agrees_to_get_cloud_events(self) -> str:
        headers = {"WebHook-Request-Origin": "eventgrid.azure.net"}
        answer = self._ask("OPTIONS", EVENTS, headers=headers)
        _expect(answer, 200)
        if answer.headers.get("webhook-allowed-origin") not in ("eventgrid.azure.net", "*"):
            raise WrongError(f"it allows {answer.headers.get('webhook-allowed-origin')}, not eventgrid.azure.net")
        return "CloudEvents"

    def a_notification_is_taken(self) -> str:
        model = f"smoke-{self.run}"
        data = {"modelName": model, "modelVersion": "1", "modelTags": {}, "modelProperties": {}}
        event = self._event("Microsoft.MachineLearningServices.ModelRegistered", data)
        _expect(self._deliver([event], "Notification"), 202)
        if not self.workspace:
            return "accepted; use --workspace to follow it to the end"
        found = self._until(lambda: self._read(f"/api/promotions?{urlencode({'model': model})}")["value"], "its record")
        if found[0]["status"] != "ignored":
            raise WrongError(f"{model} should be ignored, but is {found[0]['status']}: {found[0]['reason']}")
        return f"{model} was recorded and ignored"

    def a_forged_principal_is_nobody(self) -> str:
        """Check that the header does not make its sender an operator, even where a key alone gives access."""
        claims = [{"typ": "oid", "val": "forged"}, {"typ": "roles", "val": "Promotion.Operator"}]
        header = base64.b64encode(json.dumps({"auth_typ": "aad", "claims": claims}).encode()).decode()
        asked = {"ids": ["none"], "dry_run": True, "reason": "smoke test"}
        answer = self._ask("POST", "/api/failures/replay", asked, {"X-MS-CLIENT-PRINCIPAL": header}, token="")
        if answer.status not in (401, 403):
            raise WrongError(f"the status should be 401 or 403, but is {answer.status}: anybody can be an operator")
        return f"refused with {answer.status}"

    def wrong_requests_are_refused(self) -> str:
        for path, status in (("/api/promotions/no-such-promotion", 404), ("/api/promotions?top=0", 400)):
            answer = self._ask("GET", path)
            _expect(answer, status)
            if "problem+json" not in answer.headers.get("content-type", ""):
                raise WrongError(f"{path}: the answer should be application/problem+json")
        return "404 and 400, each with a problem document"

    def a_promotion_is_started_once(self) -> str:
        if not self.model:
            raise NotAskedError("give --model, a name that a route takes")
        asked = {"model": self.model, "version": f"smoke-{self.run}", "reason": "smoke test"}
        answers = [self._ask("POST", "/api/promotions", asked, {"Idempotency-Key": self.run}) for _ in range(2)]
        for answer in answers:
            _expect(answer, 202)
        first, second = (str(answer.body["id"]) for answer in answers)
        if first != second:
            raise WrongError(f"the same request started two promotions: {first} and {second}")
        self.promotion = first
        return first

    def it_fails_since_there_is_no_such_version(self) -> str:
        return self._failed_after(attempts=1)

    def it_can_be_replayed(self) -> str:
        self._started()
        if not self.token:
            _expect(self._replay(dry_run=True), 403)
            raise NotAskedError("refused with a key alone, as expected; give --token of an operator")
        for dry_run, outcome in ((True, "replayable"), (False, "replayed")):
            answer = self._replay(dry_run)
            _expect(answer, 200)
            (result,) = answer.body["value"]
            if result["outcome"] != outcome:
                raise WrongError(f"it should be {outcome}, but is {result['outcome']}: {result['text']}")
        return self._failed_after(attempts=2)

    # --- requests ---

    def _failed_after(self, attempts: int) -> str:
        self._started()

        def look() -> Any:
            listed = self._read(f"/api/failures?{urlencode({'model': self.model, 'top': 200})}")["value"]
            return next((each for each in listed if each["id"] == self.promotion and each["tried"] >= attempts), None)

        failure = self._until(look, f"failure number {attempts} of {self.promotion}")
        if failure["kind"] != "not-found":
            raise WrongError(f"it should fail with not-found, but failed with {failure['kind']}: {failure['reason']}")
        return str(failure["reason"])

    def _started(self) -> None:
        if not self.promotion:
            raise NotAskedError("nothing was started")

    def _replay(self, dry_run: bool) -> Answer:
        asked = {"ids": [self.promotion], "dry_run": dry_run, "reason": "smoke test"}
        return self._ask("POST", "/api/failures/replay", asked)

    def _event(self, kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "id": str(uuid.uuid4()),
            "topic": self.workspace or NO_WORKSPACE,
            "subject": "smoke",
            "eventType": kind,
            "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "data": data,
            "dataVersion": "",
            "metadataVersion": "1",
        }

    def _deliver(self, events: list[dict[str, Any]], kind: str) -> Answer:
        return self._ask("POST", EVENTS, events, {"aeg-event-type": kind})

    def _read(self, path: str) -> Any:
        answer = self._ask("GET", path)
        _expect(answer, 200)
        return answer.body

    def _until(self, look: Callable[[], Any], what: str) -> Any:
        """The first answer that is not empty. Asks again while the app is unreachable or has no answer yet."""
        deadline, trouble = time.monotonic() + self.seconds, "nothing yet"
        while time.monotonic() < deadline:
            try:
                if found := look():
                    return found
            except WrongError as error:
                trouble = str(error)
            time.sleep(min(0.5, self.seconds / 10))
        raise WrongError(f"timed out after {self.seconds:g} s waiting for {what}: {trouble}")

    def _ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        token: str | None = None,
    ) -> Answer:
        """`token`: used instead of the run's own."""
        token = self.token if token is None else token
        sent = {"x-functions-key": self.key, "Content-Type": "application/json", **(headers or {})}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        content = None if body is None else json.dumps(body).encode()
        try:
            answer = Client(self.url, self.seconds).ask(method, path, sent, content)
        except NoAnswerError as fault:
            raise WrongError(f"{method} {path.partition('?')[0]}: {fault}") from fault
        try:
            return Answer(answer.status, answer.headers, answer.json())
        except ValueError:
            return Answer(answer.status, answer.headers, answer.text)


def _expect(answer: Answer, status: int) -> None:
    if answer.status != status:
        detail = answer.body.get("detail") if isinstance(answer.body, dict) else answer.body
        of_no_text = "the key is wrong" if answer.status == 401 else "no text"
        raise WrongError(f"the status should be {status}, but is {answer.status}: {str(detail)[:300] or of_no_text}")


def look_at_all(smoke: Smoke, tell: Callable[[str], object]) -> int:
    """Run all checks, and return the exit code."""
    steps = (
        smoke.the_app_answers,
        smoke.the_webhook_agrees_to_get_events,
        smoke.the_webhook_agrees_to_get_cloud_events,
        smoke.a_notification_is_taken,
        smoke.a_forged_principal_is_nobody,
        smoke.wrong_requests_are_refused,
        smoke.a_promotion_is_started_once,
        smoke.it_fails_since_there_is_no_such_version,
        smoke.it_can_be_replayed,
    )
    failures = skipped = 0
    for step in steps:
        name, begun = step.__name__.replace("_", " "), time.monotonic()
        try:
            verdict, says = "ok", step()
        except NotAskedError as missing:
            verdict, says, skipped = "skip", str(missing), skipped + 1
        except WrongError as wrong:
            verdict, says, failures = "FAIL", str(wrong), failures + 1
        tell(f"{verdict:<4}  {name} ({time.monotonic() - begun:.1f} s): {says}\n")
        if failures and step == smoke.the_app_answers:
            break
    well = (
        f"all passed, {skipped} skipped\
"
        if skipped
        else "all passed\
"
    )
    tell(f"{failures} failed\n" if failures else well)
    return FAILED if failures else PASSED


def main(arguments: list[str] | None = None) -> int:
    """Exit codes: 0 all passed, 1 something failed, 2 wrong arguments."""
    parser = argparse.ArgumentParser(description="Exercises a running app from outside.", epilog=main.__doc__)
    parser.add_argument("url", metavar="URL", help="such as http://localhost:7071 or https://NAME.azurewebsites.net")
    parser.add_argument("key", metavar="KEY", help="a host key, or the master key")
    parser.add_argument(
        "--token",
        default="",
        help="access token of an operator, to replay, and for everything if the app accepts no keys",
    )
    parser.add_argument("--model", default="", help="name that a route takes but no model has: to start and replay")
    parser.add_argument("--workspace", default="", metavar="ID", help="ARM id of a configured workspace")
    parser.add_argument("--timeout", type=float, default=60, metavar="SECONDS", help="per check (default: %(default)g)")
    given = parser.parse_args(arguments)
    if not given.url.startswith(("http://", "https://")):
        parser.error("URL must start with http:// or https://")
    smoke = Smoke(
        given.url.rstrip("/"),
        given.key,
        given.token,
        given.workspace,
        given.model,
        given.timeout,
    )
    return look_at_all(smoke, sys.stdout.write)


if __name__ == "__main__":
    sys.exit(main())
