"""What each poll costs: calls of Azure ML, which are throttled, and imports."""

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from shared.cloud.azureml import AzureMLWorkspace
from tests.cloud.conftest import Registered
from tests.cloud.local_azure import LocalAzure, until

SCALE = Path(__file__).parents[2] / "docs" / "scale.md"


def test_the_sdk_is_not_imported_with_the_adapter() -> None:
    code = "import sys, shared.cloud.azureml, shared.worker.run; sys.exit('azure.ai.ml' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def writes(calls: Mapping[str, Sequence[str]]) -> tuple[int, int]:
    """What Azure Resource Manager counts as writes of a stage, and as deletions; blobs and scoring do not go there."""
    made = [call for each in calls.values() for call in each if " /workspaces/" in call]
    stage = [call for call in made if "/onlineEndpoints" in call or "/codes/" in call]
    return sum(call.startswith(("PUT", "POST")) for call in stage), sum(call.startswith("DELETE") for call in stage)


def test_few_calls_are_made(
    azure: LocalAzure,
    dev: AzureMLWorkspace,
    test: AzureMLWorkspace,
    name: str,
    registered: Registered,
    folder: Path,
) -> None:
    """The workspace's properties and the registry's address are asked for once and then known."""
    registered(name)
    endpoint = f"e{name}"

    def settled() -> bool:
        found = test.endpoint(endpoint)
        return found is not None and found.state == "Succeeded"

    def deployed() -> bool:
        found = test.deployment(endpoint, "v1-abc")
        return found is not None and found.state == "Succeeded"

    first = {
        "model": azure.calls(lambda: dev.model(name, "1")),
        "share": azure.calls(lambda: dev.start_share(name, "1")),
    }
    copy = until(lambda: test.registry_model(name, "1"))
    counts = {
        "model": azure.calls(lambda: dev.model(name, "1")),
        "has_files": azure.calls(lambda: (model := dev.model(name, "1")) and dev.has_files(model)),
        "start_share": azure.calls(lambda: dev.start_share(name, "1")),
        "registry_model": azure.calls(lambda: test.registry_model(name, "1")),
        "start_endpoint": azure.calls(lambda: test.start_endpoint(endpoint, {})),
    }
    until(settled)
    file = folder / "deployment.yml"
    with (folder / "scoring" / "score.py").open("a") as code:
        code.write(f"# {name}\n")  # code that is there already is not uploaded again
    counts["start_deployment"] = azure.calls(lambda: test.start_deployment(file, endpoint, "v1-abc", copy.asset_id, {}))
    until(deployed)
    counts |= {
        "endpoint": azure.calls(lambda: test.endpoint(endpoint)),
        "deployment": azure.calls(lambda: test.deployment(endpoint, "v1-abc")),
        "deployments": azure.calls(lambda: test.deployments(endpoint)),
        "score": azure.calls(lambda: list(test.score(endpoint, "v1-abc", [{"numbers": []}] * 5))),
        "start_traffic": azure.calls(lambda: test.start_traffic(endpoint, {"v1-abc": 100}, {})),
    }
    until(settled)
    test.start_traffic(endpoint, {}, {})
    until(settled)
    counts["start_removal"] = azure.calls(lambda: test.start_removal(endpoint, "v1-abc"))
    assert {what: len(calls) for what, calls in first.items()} == {"model": 2, "share": 2}
    assert {what: len(calls) for what, calls in counts.items()} == {
        "model": 1,
        "has_files": 4,
        "start_share": 1,
        "registry_model": 1,
        "start_endpoint": 2,
        "start_deployment": 11,
        "endpoint": 1,
        "deployment": 1,
        "deployments": 1,
        "score": 7,
        "start_traffic": 4,
        "start_removal": 1,
    }
    told = re.search(r"(\d+) per stage and environment, and (\d+) deletion", SCALE.read_text(encoding="utf-8"))
    assert told
    assert writes(counts) == (int(told[1]), int(told[2]))
