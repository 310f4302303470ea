"""The command doctor: checks the setup from here to Azure, and says how to fix each problem."""

from collections import Counter
from collections.abc import Iterable

import click
from rich.table import Table
from rich.text import Text

from mlpromote.access import Access
from mlpromote.api import Document
from mlpromote.commands import command
from mlpromote.exit_codes import CommandError, ExitCode
from mlpromote.session import Session
from mlpromote.tables import table

#: Mark and style for each state of a check.
_MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "unchecked": ("?", "yellow"), "fault": ("✗", "red")}
#: Singular and plural for each state that is not ok.
_COUNTED = {
    "fault": ("check failed", "checks failed"),
    "warning": ("warning", "warnings"),
    "unchecked": ("check incomplete", "checks incomplete"),
}

WHAT = "check settings, queues, store, workspaces, registry and rights, and say how to fix each problem"
MORE = (
    "First checks that the app answers and who you are signed in as; then the app checks itself. An app sees only what "
    "it uses: if each environment has its own app, run this against each one (--url)."
)


@command("doctor", WHAT, more=MORE)
@click.pass_obj
def doctor(session: Session) -> ExitCode:
    """Print each check with what was seen and what to do."""
    access, output = session.access, session.output
    try:
        health = session.api.get("health")
    except CommandError as error:
        unanswered = [_check("app", access.url, False, str(error))]
        output.result({"healthy": False, "caller": None, "checks": unanswered}, lambda: [_drawn(unanswered)])
        return error.exit_code
    checks = [_check("app", access.url, True, "answers"), _you(access, health["caller"]), *health["checks"]]
    output.result({**health, "checks": checks}, lambda: [_drawn(checks), _summary(checks)])
    return ExitCode.DONE if health["healthy"] else ExitCode.REFUSED


def _you(access: Access, caller: Document | None) -> Document:
    if caller is None:
        may = "not signed in: may read and start, nothing else"
        return _check("you", "function key", True, f"{may}. To sign in: {access.how_to_sign_in}")
    roles = ", ".join(caller["roles"])
    return _check("you", caller["name"], True, roles)


def _check(what: str, name: str, ok: bool, says: str) -> Document:
    return {"what": what, "name": name, "ok": ok, "state": "ok" if ok else "fault", "says": says, "todo": ""}


def _drawn(checks: Iterable[Document]) -> Table:
    made = table("", "what", "which", "seen", whole=("", "what"))
    for check in checks:
        mark = Text(*_MARKS.get(check["state"], ("?", "yellow")))
        seen = " ".join(part for part in (_sentence(check["says"], check["todo"]), check["todo"]) if part)
        made.add_row(mark, check["what"], check["name"], seen)
    return made


def _sentence(says: str, todo: str) -> str:
    return f"{says}." if todo and not says.endswith(".") else says


def _summary(checks: Iterable[Document]) -> Text:
    count = Counter(check["state"] for check in checks)
    told = [(count[state], words) for state, words in _COUNTED.items() if count[state]]
    if not told:
        return Text("All is well.", style="green")
    style = "red" if count["fault"] else "yellow"
    return Text(f"{', '.join(f'{number} {words[number > 1]}' for number, words in told)}.", style=style)


COMMANDS = (doctor,)
