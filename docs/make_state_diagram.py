"""Draws `docs/states.md` from the tables that the core moves by: `python docs/make_state_diagram.py [--check]`."""

import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from docs.generated_page import write_or_check
from shared.config import durations
from shared.core.messages import Kind
from shared.core.plan import KINDS, PlannedStep, WaitsFor
from shared.core.promotion import STAGE_ENDED, StageStatus
from shared.core.transitions import TRANSITIONS

TARGET = Path(__file__).with_name("states.md")


_WHICH_CONTINUES = """\
## Which of several candidates continues

Of those that queue for a stage, only the newest that is known to exist continues: the highest version, or the last if
versions are not whole numbers. The older ones are `superseded`, and so are older ones that an event starts later. What
is in the stage is never superseded, unless it only waits there for its training job.

A version of which an event told is known. One that a person started is known once a step has found it, which the first
step of its plan does. Until then it supersedes nothing:

| the newer one, which nobody has seen yet | the older ones |
|---|---|
| queues | keep their places; no older one enters the stage before it |
| is in the stage | wait behind it, also those that come later |
| is found | are superseded at once |
| fails, or is cancelled, before that | continue where they were: the newest of them enters the stage |

An older one that waits in the stage for its training job lets the newer one in and queues meanwhile, but not while a
hold keeps the newer one out. At most eight versions of a lane may be under way that nobody has seen. Jobs and pipelines
supersede nothing: each has its turn.
""".splitlines()


def document() -> str:
    """The whole page."""
    return "\n".join(
        [
            "# States",
            "",
            "<!-- Written by docs/make_state_diagram.py from shared/core/transitions.py and shared/core/plan.py. -->",
            "",
            "## A stage of a promotion",
            "",
            "```mermaid",
            "stateDiagram-v2",
            f"    [*] --> {StageStatus.WAITING}",
            *(f"    {before} --> {after}: {trigger}" for (before, trigger), after in _drawn()),
            *(f"    {_drawn_name(status)} --> [*]" for status in StageStatus if status in STAGE_ENDED),
            "```",
            "",
            *_WHICH_CONTINUES,
            "",
            "## What a stage does while it is running",
            "",
            "The steps of its plan, in order. When one fails, or a person turns the stage back, the steps that were",
            "begun are undone, last first.",
            "",
            *_plan("A model's stage", KINDS[Kind.MODEL].plan),
            *_plan("A finished job's output", KINDS[Kind.JOB].plan),
            *_plan("A pipeline's stage", KINDS[Kind.PIPELINE].plan),
        ]
    )


def _drawn() -> Iterator[tuple[tuple[str, str], str]]:
    for (before, trigger), after in TRANSITIONS.items():
        yield (_drawn_name(before), trigger.value), _drawn_name(after)


def _drawn_name(status: StageStatus) -> str:
    return status.value.replace("-", "_")  # a hyphen is part of an arrow in Mermaid


def _plan(title: str, plan: tuple[PlannedStep, ...]) -> Iterator[str]:
    yield from (f"### {title}", "", "| step | time limit | undone by | |", "|---|---|---|---|")
    for step in plan:
        undo = ", ".join(step.undo) or "–"
        yield f"| {step.name} | {durations.text(step.limit)} | {undo} | {'; '.join(_remarks(step))} |"
    yield ""


def _remarks(step: PlannedStep) -> Iterator[str]:
    remarks = {
        "runs in the environment that the model comes from, in a stage that has none before it": step.at_source,
        "waits for people; left out where the stage asks for no approval": step.asks_people,
        "waits while the stages before serve the candidate; left out without `soak`": step.waits_for is WaitsFor.TIME,
        "left out of stages with a batch endpoint": bool(step.unless),
        f"left out of stages without `{step.asked_by}`": step.asked_by == "test",
        "begins only in a window of the stage, if it has any": step.in_window,
        "the candidate is the champion from here on": step.crowns,
        "once for each step of the rollout: `rollout-1`, `rollout-2`, …; limit: what `rollout` says": step.repeats,
        "its failure rolls the stage back and holds it; limit: what `rollout` says": step.holds,
        "only in stages that keep what they replace": step.makes_room,
        "only tidies up: its failure is noted and undoes nothing": step.tidies,
        "where the stage keeps what it replaced, it runs after the stage's end": step.tidies,
    }
    return (text for text, holds in remarks.items() if holds)


if __name__ == "__main__":
    sys.exit(write_or_check(TARGET, document, "Draw docs/states.md from the core's tables."))
