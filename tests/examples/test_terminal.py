import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from examples.demo.checks import BrokenPromiseError
from examples.demo.terminal import Terminal
from tests.mlpromote.stub import Answer, StubApp


def write_addresses(data: Path, url: str) -> None:
    addresses = {
        "functions": {"url": url, "keys": {"default": "key"}},
        "people": {"bob": {"client_id": "id-of-bob", "roles": []}},
        "sign_in": {"resource": "api://local-app"},
        "identity": {"endpoint": f"{url}/identity", "header": "the-header"},
    }
    (data / "addresses.json").write_text(json.dumps(addresses))


async def test_a_command_is_shown_as_it_was_typed_with_what_it_printed(tmp_path: Path) -> None:
    output = io.StringIO()
    with StubApp().serving() as app:
        write_addresses(tmp_path, app.url)
        token = Answer({"access_token": "token-of-bob", "expires_on": "9999999999"})
        app.will_answer(
            token, Answer({"done": "rejected by bob", "promotion": {"id": "digits-3", "status": "rejected"}})
        )

        terminal = Terminal(Console(file=output, width=80), tmp_path)
        await terminal.type("reject", "digits-3", "--as", "bob", "--reason", "4 is better")

    shown = [line.rstrip() for line in output.getvalue().splitlines()]
    assert shown == [
        "",
        "   $ mlpromote reject digits-3 --as bob --reason '4 is better'",
        "   rejected by bob",
        "   promotion digits-3 is rejected",
    ]
    assert app.asked[1].headers["Authorization"] == "Bearer token-of-bob"


async def test_a_command_that_fails_breaks_a_promise_and_shows_why(tmp_path: Path) -> None:
    output = io.StringIO()
    with StubApp().serving() as app:
        write_addresses(tmp_path, app.url)
        app.will_answer(Answer("", 401))

        with pytest.raises(BrokenPromiseError, match="`mlpromote list` exited with 3"):
            await Terminal(Console(file=output, width=80), tmp_path).type("list")

    assert "Access denied" in output.getvalue()
