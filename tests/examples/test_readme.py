"""What the README shows first, and its table of examples."""

import re
from collections import Counter

from tests.examples.scripts import REPOSITORY

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
EXAMPLES = REPOSITORY / "examples"


def test_it_begins_with_the_demo_the_local_cloud_and_a_repository_of_ones_own() -> None:
    block = re.search(r"^```console\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert block
    commands = [line.removeprefix("$ ").partition("#")[0].strip() for line in block[1].splitlines()]
    assert commands == ["make demo", "make up", "mlpromote init churn"]


def test_its_table_names_each_example_once() -> None:
    rows = Counter(re.findall(r"^\| \[[\w-]+\]\((examples/[^)]+)\) \|", README, re.MULTILINE))
    there = {
        file.relative_to(REPOSITORY).as_posix()
        for name in ("promotion.yml", "platform.yml")
        for file in EXAMPLES.glob(f"*/{name}")
    }
    assert rows == Counter(there)
