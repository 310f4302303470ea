"""Compares indexing the app with indexing an empty function app, in fresh processes, by Microsoft's runtime."""

from pathlib import Path

from benchmarks.children import REPOSITORY, answer_of
from benchmarks.cloud import APPS
from benchmarks.figures import BenchmarkError, Comparison, Finding, Target
from benchmarks.progress import Progress

ROUNDS = 11
TARGET = Target(1.5, at_least=False)

SETTINGS = {"MLPROMOTE_CONFIGURATION": "examples/digits/promotion.yml"}


async def measure(folder: Path, progress: Progress) -> list[Finding]:
    """Measure. Raises `BenchmarkError` if a forbidden module is imported."""
    ours, empty = [], []
    functions = 0
    for done in range(-1, ROUNDS):  # the first round only warms up the file system's caches
        of_ours = await answer_of("benchmarks.index_app", [str(REPOSITORY)], folder / "app.log", SETTINGS)
        of_empty = await answer_of("benchmarks.index_app", [str(APPS / "empty")], folder / "empty.log")
        progress(done + 1, ROUNDS, "fresh processes, in turn")
        if of_ours["heavy"]:
            raise BenchmarkError(f"indexing the app imports {', '.join(of_ours['heavy'])}")
        if done >= 0:
            ours.append(of_ours["seconds"] * 1000)
            empty.append(of_empty["seconds"] * 1000)
        functions = len(of_ours["functions"])
    return [
        Comparison(
            "indexing",
            ours,
            empty,
            f"the app: {functions} functions; neither azure.ai.ml nor pydantic nor another SDK imported",
            "a function app without functions",
            "ms",
            TARGET,
        )
    ]
