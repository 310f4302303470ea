"""What `azd deploy` and `func azure functionapp publish` take along: all files but those that .funcignore names."""

import subprocess
from pathlib import Path

from tests.infra.shapes import REPOSITORY


def deployed_files(empty: Path) -> set[str]:
    """The paths of all files that go to Azure. git reads the rules in an empty folder: they are those of .gitignore."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    every = subprocess.run(listed, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.split("\n")
    subprocess.run(["git", "init", "--quiet", str(empty)], check=True)
    rules = ["git", "-c", f"core.excludesFile={REPOSITORY / '.funcignore'}", "check-ignore", "--no-index", "--stdin"]
    answer = subprocess.run(rules, cwd=empty, input="\n".join(every), capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    return set(filter(None, every)) - set(answer.stdout.splitlines())


def make_package(folder: Path, empty: Path) -> None:
    """The folder as it arrives on Azure."""
    for name in deployed_files(empty):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((REPOSITORY / name).read_bytes())
