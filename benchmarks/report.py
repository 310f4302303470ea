"""Shows results as tables in a terminal."""

from collections.abc import Sequence
from statistics import median

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from benchmarks.figures import Comparison, Finding, Table


def show(console: Console, findings: Sequence[Finding]) -> None:
    """Show comparisons first, in one table, then the other tables."""
    comparisons = [finding for finding in findings if isinstance(finding, Comparison)]
    if comparisons:
        _show_comparisons(console, comparisons)
    for finding in findings:
        if isinstance(finding, Table):
            _show_table(console, finding)


def _show_comparisons(console: Console, comparisons: Sequence[Comparison]) -> None:
    table = RichTable(title="Side by side: medians of the rounds", title_justify="left", title_style="bold")
    for heading in ("", "what", "median", "lowest to highest"):
        table.add_column(heading, justify="right" if heading == "median" else "left", overflow="fold")
    for heading in ("ratio", "target"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for comparison in comparisons:
        target = comparison.target
        ratio = target.shown(comparison.ratio) if target else f"{comparison.ratio:.2f}"
        met = {True: Text("met", "green"), False: Text("missed", "bold red"), None: Text("")}[comparison.is_met]
        ours = _values(comparison.ours, comparison.unit)
        other = _values(comparison.other, comparison.unit)
        table.add_row(comparison.title, comparison.ours_is, *ours, ratio, str(target or ""), met)
        table.add_row("", f"against {comparison.other_is}", *other, "", "", "", style="dim", end_section=True)
    console.print(table)


def _show_table(console: Console, found: Table) -> None:
    table = RichTable(
        title=found.title, title_justify="left", title_style="bold", caption=found.note, caption_justify="left"
    )
    for position, heading in enumerate(found.columns):
        numbers = all(_is_number(row[position]) for row in found.rows)
        table.add_column(heading, justify="right" if numbers else "left", overflow="fold")
    for row in found.rows:
        table.add_row(*row)
    console.print(table)


def _values(values: Sequence[float], unit: str) -> tuple[str, str]:
    spread = f"{_short(min(values))} to {_short(max(values))}" if len(values) > 1 else ""
    return f"{_short(median(values))} {unit}", spread


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _is_number(cell: str) -> bool:
    return cell.replace(",", "").replace(".", "", 1).isdigit() or not cell
