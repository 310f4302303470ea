"""Azure ML's SDK is imported by one thread at a time: its modules import each other in circles."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared"
SDK = "azure.ai.ml"
#: In a process of its own, which has imported nothing yet: each thread comes to the SDK by another function.
THREADS = """
import sys, threading
from pathlib import Path
from shared.cloud import azureml_batch_files, azureml_deployments, azureml_endpoints, azureml_job_files
from shared.cloud import azureml_monitors, azureml_uploads, azureml_yaml
from shared.ports import RejectedError

def checks_yaml():
    with azureml_yaml.usable(missing, "deployment"):
        raise ValueError("it cannot be read")

missing, place = Path("is-not-there.yml"), Path(sys.argv[1])
calls = [
    lambda: azureml_deployments.load(missing, "e", "d", None),
    lambda: azureml_batch_files.load(missing, "e", "d", None),
    lambda: azureml_endpoints.load(missing, "e"),
    lambda: azureml_job_files.load(missing, None),
    lambda: azureml_monitors.load(missing, "m", "azureml:e:d", {}),
    lambda: azureml_uploads.content_hash(place),
    checks_yaml,
]
begin, faults = threading.Barrier(len(calls)), []

def run(call):
    begin.wait()
    try:
        call()
    except RejectedError:
        pass
    except Exception as fault:
        faults.append(repr(fault))

sys.setswitchinterval(1e-5)
threads = [threading.Thread(target=run, args=[call]) for call in calls]
for each in threads:
    each.start()
for each in threads:
    each.join()
print(*faults, sep="\\n")
"""


@pytest.mark.timeout(300)
def test_threads_that_come_to_the_sdk_at_once_all_get_it(tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text("")
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", THREADS, str(tmp_path)],
        cwd=SHARED.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == ""


def test_every_import_of_the_sdk_waits_for_those_of_other_threads() -> None:
    found = {str(file.relative_to(SHARED.parent)): list(unguarded(file)) for file in SHARED.rglob("*.py")}
    assert {name: lines for name, lines in found.items() if lines} == {}


def unguarded(file: Path) -> Iterator[int]:
    """The lines that import the SDK outside of a block `with importing()`; those for type checkers do not run."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    fine = {
        inside
        for block in ast.walk(tree)
        if (isinstance(block, ast.With) and ast.unparse(block.items[0]) == "importing()")
        or (isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING")
        for inside in ast.walk(block)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Import | ast.ImportFrom) or node in fine:
            continue
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
        if any(name.startswith(SDK) for name in names):
            yield node.lineno
