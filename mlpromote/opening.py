"""The command open: the pages of a promotion's model, endpoints and jobs in Azure ML studio and the Azure portal."""

import os
import sys
import webbrowser
from collections.abc import Iterator
from urllib.parse import quote

import click
from rich.text import Text

from mlpromote.api import Document
from mlpromote.commands import command
from mlpromote.exit_codes import ExitCode
from mlpromote.promotions import OF_ONE
from mlpromote.references import promotion_id
from mlpromote.session import Session
from mlpromote.tables import table

STUDIO = "https://ml.azure.com"
PORTAL = "https://portal.azure.com/#@/resource"


@command(
    "open",
    "open a promotion's pages in Azure ML studio",
    more=f"{OF_ONE} Opens the endpoint of the stage that it is in, or of its last stage, and prints the other pages. "
    "Without a browser, prints only.",
)
@click.argument("promotion")
@click.option("--stage", help="Open the endpoint of this stage.")
@click.option("--portal", is_flag=True, help="Open the workspace in the Azure portal instead.")
@click.option("--print", "only_print", is_flag=True, help="Open nothing.")
@click.pass_obj
def open_(session: Session, promotion: str, stage: str | None, portal: bool, only_print: bool) -> ExitCode:
    """Print every page, and open one."""
    api, output = session.api, session.output
    found = api.get("promotions", promotion_id(api, promotion, output))
    pages = [{"what": what, "url": url} for what, url in addresses(found)]
    made = table("page", "address", whole=("page",))
    for page in pages:
        made.add_row(page["what"], Text(page["url"], overflow="fold"))
    output.result(pages, lambda: [made])
    wanted = _wanted(found, stage, portal)
    first = next((page["url"] for page in pages if page["what"] == wanted), None)
    if first and not only_print and not output.is_for_scripts and _has_browser():
        webbrowser.open(first)
    return ExitCode.DONE


def addresses(promotion: Document) -> Iterator[tuple[str, str]]:
    """Yield what each page is about, and its address."""
    candidate = promotion["candidate"]
    home = candidate["workspace"]
    if home.startswith("/subscriptions/"):
        name, version = quote(candidate["name"]), quote(candidate["version"])
        is_model = candidate["kind"] == "model"
        way = f"model/{name}:{version}/details" if is_model else f"runs/{version}"
        yield ("model" if is_model else "job"), f"{STUDIO}/{way}?wsid={home}"
        yield f"portal {candidate['environment']}", f"{PORTAL}{home}"
    for stage in promotion["stages"]:
        workspace = stage.get("workspace")
        if not workspace:
            continue
        if stage["endpoint"]:
            page = f"{STUDIO}/endpoints/realtime/{quote(stage['endpoint'])}/detail?wsid={workspace}"
            yield f"endpoint {stage['name']}", page
        yield f"portal {stage['name']}", f"{PORTAL}{workspace}"
    for stage in promotion["stages"]:
        for step in stage["steps"]:
            if step["evidence"].get("studio"):
                yield f"{step['name']} {stage['name']}", str(step["evidence"]["studio"])


def _wanted(promotion: Document, stage: str | None, portal: bool) -> str:
    names = [each["name"] for each in promotion["stages"] if each["started"]] or [""]
    name = stage or promotion["stage"] or names[-1]
    return f"{'portal' if portal else 'endpoint'} {name}"


def _has_browser() -> bool:
    """Return whether a page can be opened for whoever looks at this terminal."""
    if not sys.stdout.isatty():
        return False
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


COMMANDS = (open_,)
