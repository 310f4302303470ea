"""What differs between two versions of a pipeline, in words. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shared.core.messages import Champion
from shared.core.wire import from_json
from shared.worker.order import champion_saw
from shared.worker.pipeline_components import PromotedComponent
from shared.worker.pipeline_inputs import Given
from shared.worker.steps import register_components

#: Lines that are shown.
MOST_LINES = 30
LONGEST_LINE = 300
#: Files that are named of one step.
MOST_FILES = 8


def since_champion(
    champion: Champion | None, components: Mapping[str, PromotedComponent], inputs: Mapping[str, Given]
) -> Sequence[str]:
    """Return what changed since the champion's last run; empty if there is no champion, or nothing changed."""
    before = champion_saw(champion, register_components.STEP)
    if champion is None or before is None:
        return ()
    lines = [*_steps(before.components, components), *_inputs(_inputs_of(champion), inputs)]
    more = [f"and {len(lines) - MOST_LINES} more"] if len(lines) > MOST_LINES else []
    return (*(line[:LONGEST_LINE] for line in lines[:MOST_LINES]), *more)


def _steps(before: Mapping[str, PromotedComponent], now: Mapping[str, PromotedComponent]) -> Iterator[str]:
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if old is None or new is None:
            yield f"step {name} was {'added' if new else 'removed'}"
        elif old.digest != new.digest:
            yield f"step {name}: {'; '.join(of_component(old, new))}"


def of_component(before: PromotedComponent, now: PromotedComponent) -> Iterator[str]:
    """Yield what differs between two different components, at least one phrase."""
    told = False
    for what, old, new in (
        ("its command", before.command, now.command),
        ("its environment", before.environment, now.environment),
    ):
        if old != new:
            told = True
            yield f"{what} (was {old or 'none'}, is {new or 'none'})"
    if before.environment == now.environment and before.environment_digest != now.environment_digest:
        told = True
        yield "what its environment is built from"
    if before.code_digest != now.code_digest:
        told = True
        yield f"its code ({_files(before, now)})"
    if not told:
        yield "its inputs, outputs or settings"


def _files(before: PromotedComponent, now: PromotedComponent) -> str:
    lists_all = not before.files_left_out and not now.files_left_out
    named = []
    for path in sorted(before.files.keys() | now.files.keys()):
        old, new = before.files.get(path), now.files.get(path)
        if old and new and old != new:
            named.append(path)
        elif lists_all and not (old and new):
            named.append(f"{path} {'added' if new else 'removed'}")
    if not named:
        return "in files that are not listed"
    more = f" and {len(named) - MOST_FILES} more" if len(named) > MOST_FILES else ""
    return f"{', '.join(named[:MOST_FILES])}{more}"


def _inputs(before: Mapping[str, Given], now: Mapping[str, Given]) -> Iterator[str]:
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if (old and old.words) != (new and new.words):
            yield f"input {name} (was {old.words if old else 'none'}, is {new.words if new else 'none'})"


def _inputs_of(champion: Champion) -> Mapping[str, Given]:
    # Only the step that reviews the whole run has a manifest in its evidence.
    manifest: Mapping[str, Any] = next((saw["manifest"] for saw in champion.evidence.values() if "manifest" in saw), {})
    return {name: from_json(Given, each) for name, each in manifest.get("inputs", {}).items()}
