"""A client of the app's HTTP API: requests, pages, and the exit code for each error."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from mlpromote.access import Access
from mlpromote.client import LONGEST_ANSWER, Answer, Client, NoAnswerError
from mlpromote.exit_codes import CommandError, ExitCode
from mlpromote.visible import visible_values

#: The API's limit on entries per page.
MOST_PER_PAGE = 200
_BY_STATUS = {
    400: ExitCode.USAGE,
    401: ExitCode.NOT_ALLOWED,
    403: ExitCode.NOT_ALLOWED,
    404: ExitCode.NOT_FOUND,
    409: ExitCode.REFUSED,
    422: ExitCode.USAGE,
}

#: The command that shows the same list as an API path.
_SEE = {"/api/promotions": "mlpromote list", "/api/routes": "mlpromote routes"}

#: A promotion or another JSON object from the API.
Document = Mapping[str, Any]


class NoSuchAddressError(CommandError):
    """Nothing answers at the address: the app is not there, or has no such part."""


class Api:
    """Calls the app. Every method raises `CommandError` if the call fails or the answer is not as expected."""

    def __init__(self, access: Access, longest_answer: float = LONGEST_ANSWER) -> None:
        self._access = access
        self._client = Client(access.url, longest_answer)

    @property
    def url(self) -> str:
        """The address of the API."""
        return self._access.url

    def get(self, *path: str, query: Mapping[str, str | None] | None = None) -> Any:
        """Get the JSON at a path, given in parts. Query values that are None are left out."""
        asked = {name: value for name, value in (query or {}).items() if value is not None}
        return self._ask("GET", path, asked, None, {})

    def post(self, *path: str, body: Document, headers: Mapping[str, str] | None = None) -> Any:
        """Send a request and return the JSON of the answer. Body values that are None are left out."""
        content = {name: value for name, value in body.items() if value is not None}
        return self._ask("POST", path, {}, json.dumps(content).encode(), headers or {})

    def put(self, *path: str, content: bytes) -> Any:
        """Store bytes at a path, and return the JSON of the answer."""
        return self._ask("PUT", path, {}, content, {"Content-Type": "application/octet-stream"})

    def entries(self, *path: str, query: Mapping[str, str | None], most: int | None = None) -> Iterator[Document]:
        """Yield the entries of a list, page by page: at most `most`, or all if it is None."""
        for page in self.pages(*path, query=query, most=most):
            yield from page["value"]

    def pages(self, *path: str, query: Mapping[str, str | None], most: int | None = None) -> Iterator[Document]:
        """Yield the pages of a list, with the entries of each in `value`: at most `most` in all, or every one."""
        left, continuation = most, None
        while left is None or left > 0:
            top = MOST_PER_PAGE if left is None else min(left, MOST_PER_PAGE)
            page = self.get(*path, query={**query, "top": str(top), "continuation": continuation})
            if not (isinstance(page, dict) and isinstance(page.get("value"), list)):
                raise CommandError(
                    ExitCode.NO_ANSWER, f"{self.url} did not return a list. Is this the address of the app?"
                )
            yield {**page, "value": page["value"][:left]}
            left = None if left is None else left - len(page["value"])
            # Use only the continuation of the link: its host may be internal to a gateway and must not get the key.
            link = page.get("next_link")
            continuation = parse_qs(urlsplit(link).query).get("continuation", [None])[0] if link else None
            if continuation is None:
                return

    def _ask(
        self, method: str, path: tuple[str, ...], query: Mapping[str, str], body: bytes | None, more: Mapping[str, str]
    ) -> Any:
        if not all(path):  # it would be the address of something else, such as the list
            raise CommandError(ExitCode.USAGE, "An empty text names nothing. Is a variable of your script not set?")
        address = "".join(f"/{quote(part, safe='')}" for part in path)
        kind = {"Content-Type": "application/json"} if body is not None else {}
        headers = {"Accept": "application/json", **self._access.headers(), **kind, **more}
        asked = f"{method} {self.url}{address}"
        try:
            answer = self._client.ask(method, f"{address}?{urlencode(query)}" if query else address, headers, body)
        except NoAnswerError as fault:
            raise CommandError(ExitCode.NO_ANSWER, f"Cannot reach {self.url}: {fault}") from fault
        if not 200 <= answer.status < 300:
            raise self._refused(answer, asked)
        return _json(answer, asked)

    def _refused(self, refusal: Answer, asked: str) -> CommandError:
        problem = _problem(refusal)
        code = _BY_STATUS.get(refusal.status, ExitCode.NO_ANSWER)
        detail = problem.get("detail")
        if detail and refusal.status in (401, 403) and not self._access.token:
            return CommandError(code, f"{detail} To sign in: {self._access.how_to_sign_in}.", problem)
        if detail:
            see = _SEE.get(str(problem.get("see")))
            return CommandError(code, f"{detail} Run `{see}` to see what exists." if see else str(detail), problem)
        if refusal.status == 401:
            return CommandError(code, self._not_let_in())
        if refusal.status == 404:
            return NoSuchAddressError(
                ExitCode.NO_ANSWER,
                f"No mlpromote API at {self._access.url}. Is this the address of the app, and is the app running?",
            )
        return CommandError(ExitCode.NO_ANSWER, f"{asked} failed with {refusal.status} {refusal.reason}. Try again.")

    def _not_let_in(self) -> str:
        """Explain a 401 without a body: it comes from the Functions host, which checks the key, not from the app."""
        if self._access.key:
            return "Access denied: the function key is wrong."
        return "Access denied: give a function key (--key or MLPROMOTE_KEY)."


def _json(answer: Answer, asked: str) -> Any:
    try:
        return visible_values(answer.json())
    except (ValueError, RecursionError) as fault:
        raise CommandError(
            ExitCode.NO_ANSWER, f"{asked} did not return JSON. Is this the address of the app?"
        ) from fault


def _problem(refusal: Answer) -> dict[str, Any]:
    try:
        problem = visible_values(refusal.json())
    except (ValueError, RecursionError):
        return {}
    return problem if isinstance(problem, dict) else {}
