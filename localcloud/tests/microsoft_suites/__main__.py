"""The command: fetches Microsoft's tests, runs them against a local cloud and prints how they ended."""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from localcloud.processes import LEASH
from tests.microsoft_suites import outcomes, sources

#: Those that need no service that the local cloud has not.
MODULES = (
    *("component", "dsl", "pipeline_job", "command_job", "code_asset", "model", "environment", "dataset"),
    *("online_services", "datastore"),
)
SUBSCRIPTION, GROUP, WORKSPACE = "00000000-0000-0000-0000-0000000000bb", "sdk", "sdk-tests"
REGISTRIES = ("testFeed", "UnsecureTest-testFeed", "sdkv2-testFeed", "sdk-test", "UnsecureTest-hello-world")
REPOSITORY = Path(__file__).resolve().parents[3]
#: The longest that one of their tests may take, in seconds.
LONGEST_TEST = 120


def main() -> int:
    """0 when all that failed is known to."""
    parser = argparse.ArgumentParser(prog="microsoft_suites", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"default: {' '.join(MODULES)}")
    parser.add_argument("--folder", type=Path, help="where to keep what is fetched (default: a temporary folder)")
    parser.add_argument("--configs", type=Path, help="a copy of sdk/ml/azure-ai-ml/tests/test_configs; else: by git")
    parser.add_argument("-k", dest="expression", default="", help="only tests that match, as pytest has it")
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = (arguments.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        suite = sources.fetched(folder, arguments.configs)
        data = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        address = stack.enter_context(_control_plane(data))
        _run(suite, folder / "packages", data, address, arguments.modules or MODULES, arguments.expression)
        return outcomes.report(data / "outcomes.jsonl")


@contextlib.contextmanager
def _control_plane(data: Path) -> Iterator[str]:
    """Runs the local Azure ML with the workspace and the registries that the tests name."""
    workspace = (
        f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}"
        f"/providers/Microsoft.MachineLearningServices/workspaces/{WORKSPACE}"
    )
    settings = {
        "workspaces": [{"id": workspace}],
        "registries": [{"name": name} for name in REGISTRIES],
        "deployment_seconds": 0.5,
        "python": str(REPOSITORY / ".venv-compute" / "bin" / "python"),
    }
    (data / "azureml.json").write_text(json.dumps(settings))
    arguments = ["--port", "0", "--data", str(data / "state"), "--config", str(data / "azureml.json")]
    log = data / "azureml.log"
    with subprocess.Popen(
        [  # on a leash: it ends with this process, however that ends
            *(sys.executable, "-I", "-S", str(LEASH), str(log), "10000000", str(REPOSITORY)),
            *(sys.executable, "-m", "localcloud", "azureml", *arguments),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    ) as process:
        assert process.stdin
        with process.stdin:
            yield _address(log, process)


def _address(log: Path, process: subprocess.Popen[bytes]) -> str:
    """What the control plane says when it is ready."""
    while process.poll() is None:
        if log.exists() and (said := log.read_text()).endswith("\n") and " ready on " in said:
            return said.split(" ready on ")[1].split()[0]
        time.sleep(0.1)
    raise SystemExit(f"the local Azure ML did not start: {log.read_text()}")


def _run(suite: Path, packages: Path, data: Path, address: str, modules: Sequence[str], expression: str) -> None:
    folders = [f"tests/{module}/e2etests" for module in modules]
    (data / "pytest.ini").write_text("[pytest]\n")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(packages), str(Path(__file__).parent))),
        "LOCALCLOUD_ADDRESS": address,
        "LOCALCLOUD_OUTCOMES": str(data / "outcomes.jsonl"),
        "REQUESTS_CA_BUNDLE": str(data / "state" / "ca.pem"),
        "ML_SUBSCRIPTION_ID": SUBSCRIPTION,
        "ML_RESOURCE_GROUP": GROUP,
        "ML_WORKSPACE_NAME": WORKSPACE,
        "HOME": str(data),  # the SDK keeps a cache of components there
        "TMPDIR": str(data),
    }
    command = [sys.executable, "-P", "-m", "pytest", "-c", str(data / "pytest.ini"), "--rootdir", str(suite), *folders]
    options = ["-p", "plugin", "-p", "no:cacheprovider", "-p", "no:schemathesis", "-m", "not automl_test", "-q"]
    options += [f"--timeout={LONGEST_TEST}", "--continue-on-collection-errors", "--tb=no", "-W", "ignore"]
    command += [*options, "-k", expression]
    # Apart from the terminal, which some of what they test would stop it for.
    subprocess.run(command, cwd=suite, env=environment, check=False, stdin=subprocess.DEVNULL, start_new_session=True)


if __name__ == "__main__":
    sys.exit(main())
