"""Puts faults into the core and the workers, one at a time, and tells which of them no test notices.

`python -m tests.mutants --sample 150 --seed 7`, or `--all`, and names of files to look at no others.

A mutator of our own: mutmut 3 ignores code outside functions, and our rules are tables. Cosmic Ray writes each fault
into the file itself, so nothing else may use the working tree meanwhile. Neither draws a sample with a seed, or knows
which tests belong to which file.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.mutants.equivalent import EQUIVALENT
from tests.mutants.mutations import Mutation, how_many, mutation
from tests.mutants.tests_of import tests_of

FOLDERS = ("shared/core", "shared/worker")
AT_ONCE = 2
TIMEOUT = 600.0  # seconds on a busy machine; `one` bounds the processor's time


@dataclass(frozen=True)
class Mutant:
    file: Path
    number: int

    @cached_property
    def mutation(self) -> Mutation:
        return mutation(self.file, self.number)

    @property
    def change(self) -> str:
        return f"{self.mutation.old} → {self.mutation.new}"

    @property
    def is_equivalent(self) -> bool:
        return (str(self.file), self.change) in EQUIVALENT

    def __str__(self) -> str:
        return f"{self.file}:{self.mutation.line} {self.change}"


def survives(mutant: Mutant) -> bool | None:
    """Whether all tests pass that belong to the file; None if they did not end in time, which says nothing."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.mutants.one", str(mutant.file), str(mutant.number)]
        options = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", f"--basetemp={folder}/tests"]
        environment = {**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": f"{folder}/hypothesis"}
        try:
            ran = subprocess.run(
                [*command, *options, *tests_of(mutant.file)],
                timeout=TIMEOUT,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None
    return ran.returncode == 0


def every_mutant(files: Sequence[Path]) -> list[Mutant]:
    return [Mutant(file, number) for file in files for number in range(how_many(file))]


def main() -> int:
    asked = _arguments()
    files = asked.files or sorted(file for folder in FOLDERS for file in Path(folder).rglob("*.py"))
    mutants = every_mutant(files)
    chosen = mutants if asked.all else random.Random(asked.seed).sample(mutants, min(asked.sample, len(mutants)))
    counted = [mutant for mutant in chosen if not mutant.is_equivalent]
    _say(f"{len(counted)} of {len(mutants)} mutants; {len(chosen) - len(counted)} more are known as equivalent")
    survivors = undecided = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for mutant, alive in zip(counted, pool.map(survives, counted), strict=True):
            if alive:
                survivors += 1
                _say(str(mutant))
            elif alive is None:
                undecided += 1
                _say(f"{mutant}: its tests did not end in {TIMEOUT:.0f} s")
    decided = len(counted) - undecided
    killed = 1 - survivors / decided if decided else 1.0
    _say(f"{killed:.1%} killed, {survivors} survived, {undecided} undecided; seed {asked.seed}")
    return 0 if killed >= asked.at_least else 1


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, help="look at these alone; without them, at all")
    parser.add_argument("--sample", type=int, default=150, help="how many mutants to try (default: 150)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the sample; else drawn, and told")
    parser.add_argument("--all", action="store_true", help="try every mutant")
    parser.add_argument("--at-least", type=float, default=0.95, help="the share that must be killed (default: 0.95)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
