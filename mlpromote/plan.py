"""The command plan: what would happen to a version, before anything does."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import click
from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from mlpromote.api import Document
from mlpromote.capacity import in_short
from mlpromote.commands import command
from mlpromote.exit_codes import ExitCode
from mlpromote.references import versioned
from mlpromote.session import Session
from mlpromote.statuses import UNDER_WAY
from mlpromote.tables import age, dim, spoken

#: How a bound of a gate is spoken of.
_BOUNDS = {
    "at_least": "at least {}",
    "at_most": "at most {}",
    "no_worse_than_champion_by": "no worse than the champion's by more than {}",
    "no_worse_than_source_by": "no worse than the source's by more than {}",
}


@command(
    "plan",
    "show what would happen to a version",
    more="Route, stages and steps, gates with the figures that are known, the quota that is left, and who would "
    "have to approve. Changes nothing. VERSION is MODEL/VERSION, or the two as separate words; for a pipeline, "
    "ROUTE/JOB.",
)
@click.argument("candidate", metavar="VERSION", nargs=-1, required=True)
@click.option("--source", metavar="ENVIRONMENT", help="Where the version is registered, or `registry`.")
@click.option("--route", help="Required if several routes take the model.")
@click.option("--through", metavar="STAGE", help="Stop after this stage.")
@click.pass_obj
def plan(session: Session, /, candidate: tuple[str, ...], **query: str | None) -> ExitCode:
    """Print a paragraph for each stage."""
    found = session.api.get("plans", *versioned(candidate), query={**query, "capacity": "true"})
    session.output.result(found, lambda: _drawn(found, session.output.clock()))
    return ExitCode.DONE


def _drawn(plan: Document, now: datetime) -> Iterator[RenderableType]:
    promotion = plan["promotion"]
    yield Text.assemble((f"{promotion['model']}/{promotion['version']}", "bold"), f" on route {promotion['route']}")
    for each in plan["earlier"]:
        why = f": {each['reason']}" if each["reason"] else ""
        yield dim(f"  promoted {age(each['created'], now)} ago as {each['id']}, {spoken(each['status'])}{why}")
    under_way = next((each["id"] for each in plan["earlier"] if each["status"] in UNDER_WAY), None)
    if under_way:
        yield _line(
            f"it is under way: `mlpromote show {under_way}`. This is what another promotion would do:", "yellow"
        )
    if promotion["status"] not in UNDER_WAY:
        yield Text(f"  it would be {spoken(promotion['status'])}: {promotion['reason']}", style="yellow")
        return
    yield from _whether_it_exists(plan)
    known = {stage["name"]: stage for stage in plan["stages"]}
    for stage in promotion["stages"]:
        yield Text()
        yield from _stage(stage, known[stage["name"]])


def _whether_it_exists(plan: Document) -> Iterator[RenderableType]:
    """Yield what is known of that, unless a step has found the version. Apps before this version do not say it."""
    version, steps = plan["promotion"]["version"], plan["promotion"]["stages"][0]["steps"]
    if "found" in plan and plan["found"] is None and steps:
        yield dim(f"  nobody has looked yet whether version {version} exists: {steps[0]['name']} will")
    elif plan.get("found") is False:
        yield _line(f"version {version} was not found when it was last looked for. {plan['missing']}", "yellow")


def _stage(stage: Document, known: Document) -> Iterator[RenderableType]:
    after = f", after {' and '.join(stage['after'])}" if stage.get("after") else ""
    endpoint = f": endpoint {stage['endpoint']}" if stage["endpoint"] else ""
    yield Text.assemble((stage["name"], "bold"), f"{endpoint}{after}")
    if known["champion"]:
        yield _line(f"replaces version {known['champion']}")
    if known["hold"]:
        yield _line(f"{known['hold']}; release it first", "yellow")
    if known["queue"]:
        yield _line(f"behind {', '.join(known['queue'])}", "yellow")
    yield _line(" → ".join(step["name"] for step in stage["steps"]))
    yield from (_line(line) for line in _run(known.get("pipeline_run")))
    for gate in known["gates"]:
        yield _line(gate_line(gate))
    yield from _capacity(known.get("capacity"))
    yield from (_line(line) for line in _approval(stage["approval"]))


def _run(run: Document | None) -> Iterator[str]:
    """Yield how a pipeline would run, and what it would register. Apps before this version do not say it."""
    if run is None:
        return
    given = ", ".join(f"{name}: {value}" for name, value in run["inputs"].items())
    yield f"runs on compute {run['compute']}{', with ' if given else ''}{given}"
    if registers := run["registers"]:
        yield f"registers output {registers['output']} as the next version of model {registers['model']}"


def _capacity(evidence: Document | None) -> Iterator[RenderableType]:
    """Yield what the deployment would take of the quota, and whether that is left now."""
    if evidence is None:
        return
    yield _line(f"quota: {in_short(evidence) or 'unknown'}")
    if refused := evidence.get("refused"):
        yield _line(refused, "yellow")


def gate_line(gate: Mapping[str, Any]) -> str:
    """Return a gate in words, with the figures that are known and whether they would pass."""
    settings = gate["settings"]
    bounds = [words.format(f"{settings[key]:g}") for key, words in _BOUNDS.items() if settings.get(key) is not None]
    figures = [f"{who} {gate[who]:.6g}" for who in ("candidate", "champion") if gate[who] is not None]
    if gate["candidate"] is None and not gate.get("measured", True):  # an older app does not say
        figures.insert(0, "the candidate's figure is not known yet")
    seen = f" ({', '.join(figures)})" if figures else f" (measured by {gate['step']})"
    return f"{gate['step']}: {gate['metric']} {' and '.join(bounds) or 'is checked'}{seen}"


def _approval(asked: Document | None) -> Iterator[str]:
    if asked is None:
        return
    people = "person" if asked["min"] == 1 else "people"
    limits = [("not_requester", "not who requested it"), ("not_author", "not the model's author")]
    but = "".join(f", {words}" for key, words in limits if asked[key])
    where = ", in the environment's own app" if asked["taken_by"] == "environment" else ""
    groups = f" in the group {' or '.join(asked['groups'])}" if asked.get("groups") else ""
    yield f"approval: {asked['min']} {people} with {' or '.join(asked['roles'])}{groups}{but}{where}"


def _line(text: str, style: str = "") -> RenderableType:
    return Padding(Text(text, style=style), (0, 0, 0, 2))


COMMANDS = (plan,)
