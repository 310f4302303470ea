import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from localcloud.azureml.compute.job_command import substitute
from localcloud.azureml.compute.jobs import JobRun, JobRunner
from localcloud.azureml.compute.mlflow import Tracking
from tests.compute.children import children_with

Until = Callable[..., Awaitable[None]]

TRAIN = """
import sys
import mlflow
from pathlib import Path
import features

data, model = map(Path, sys.argv[1:])
mlflow.log_param("rows", len(data.read_text().split()))
mlflow.log_params({"depth": 3})
for step in range(3):
    mlflow.log_metric("auc", 0.7 + step / 10, step=step)
mlflow.log_metrics({"loss": 0.25, "gap": float("nan")})
mlflow.set_tag("promote", "true")
mlflow.log_dict({"classes": 2}, "summary.json")
(model / "model.txt").write_text(features.NAME)
Path("outputs/report.txt").write_text("good")
print("trained", mlflow.active_run().info.run_id)
"""


@pytest.fixture
def jobs(tmp_path: Path, compute_python: Path) -> JobRunner:
    return JobRunner(tmp_path / "jobs", compute_python)


def job(tmp_path: Path, command: str, **changes: Any) -> JobRun:
    fields: dict[str, Any] = {
        "name": "sleepy_fox_1",
        "command": command,
        "code": None,
        "inputs": {},
        "outputs": {"default": tmp_path / "default"},
        "environment_variables": {},
        "tracking_uri": "http://127.0.0.1:9",
        "token": "secret-token",
        "experiment": "churn-training",
    }
    return JobRun(**fields | changes)


async def test_a_training_script_logs_with_plain_mlflow_and_leaves_its_outputs(
    tmp_path: Path, jobs: JobRunner, tracking: Tracking, tracking_uri: str
) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "train.py").write_text(TRAIN)
    (code / "features.py").write_text("NAME = 'forest'")
    (tmp_path / "data.csv").write_text("1\n2\n3\n")
    outputs = {"model": tmp_path / "store" / "model", "default": tmp_path / "artifacts" / "dcid.sleepy_fox_1"}
    tracking.start_run("sleepy_fox_1", "churn-training", {"team": "risk"})

    end = await jobs.run(
        job(
            tmp_path,
            "python train.py ${{inputs.data}} ${{outputs.model}}",
            code=code,
            inputs={"data": tmp_path / "data.csv"},
            outputs=outputs,
            tracking_uri=tracking_uri,
        )
    )

    assert (end.exit_code, end.cancelled) == (0, False), end.log.read_text()
    assert "trained sleepy_fox_1" in end.log.read_text()
    metrics = tracking.metrics("sleepy_fox_1")
    assert metrics["auc"] == pytest.approx(0.9)
    assert metrics["loss"] == 0.25
    assert metrics["gap"] != metrics["gap"]
    assert [metric.step for metric in tracking.metric_history("sleepy_fox_1", "auc")] == [0, 1, 2]
    assert tracking.params("sleepy_fox_1") == {"rows": "3", "depth": "3"}
    assert tracking.tags("sleepy_fox_1").items() >= {"team": "risk", "promote": "true"}.items()
    assert tracking.run("sleepy_fox_1").status == "FINISHED"
    assert (outputs["model"] / "model.txt").read_text() == "forest"
    assert (outputs["default"] / "outputs" / "report.txt").read_text() == "good"
    assert json.loads((outputs["default"] / "summary.json").read_text()) == {"classes": 2}
    assert "trained" in (outputs["default"] / "user_logs" / "std_log.txt").read_text()
    assert not (code / "outputs").exists()


async def test_a_failing_job_ends_with_the_exit_code_of_its_command_and_its_traceback(
    tmp_path: Path, jobs: JobRunner
) -> None:
    end = await jobs.run(job(tmp_path, "echo begun && python -c 'raise LookupError(42)'"))
    assert end.exit_code == 1
    assert "begun" in end.log.read_text()
    assert "LookupError: 42" in end.log.read_text()


async def test_a_job_sees_the_environment_of_azure_and_nothing_of_its_owners(
    tmp_path: Path, jobs: JobRunner, compute_python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWNER_SECRET", "not for jobs")
    authority = tmp_path / "ca.pem"
    end = await jobs.run(
        job(
            tmp_path,
            "python -c 'import json, os, sys; print(json.dumps({**os.environ, \"python\": sys.prefix}))'",
            inputs={"rate": "0.1"},
            environment_variables={"COLOUR": "blue"},
            certificate_authority=authority,
        )
    )
    seen = json.loads(end.log.read_text())
    expected = {
        "AZUREML_RUN_ID": "sleepy_fox_1",
        "AZUREML_ARM_PROJECT_NAME": "churn-training",
        "AZURE_ML_INPUT_rate": "0.1",
        "AZURE_ML_OUTPUT_default": str(tmp_path / "default"),
        "COLOUR": "blue",
        "MLFLOW_RUN_ID": "sleepy_fox_1",
        "MLFLOW_TRACKING_TOKEN": "secret-token",
        "MLFLOW_TRACKING_SERVER_CERT_PATH": str(authority),
        "python": str(compute_python.parents[1]),
    }
    assert seen.items() >= expected.items()
    assert "OWNER_SECRET" not in seen


async def test_a_cancelled_job_ends_with_all_its_processes(tmp_path: Path, jobs: JobRunner, until: Until) -> None:
    run = asyncio.create_task(jobs.run(job(tmp_path, "echo kept > outputs/file; sleep 301 & sleep 302; echo never")))
    await until(lambda: len(children_with("301") + children_with("302")) == 2)
    assert await jobs.cancel("sleepy_fox_1")
    end = await run
    assert end.cancelled
    assert end.exit_code != 0
    assert "never" not in end.log.read_text()
    assert (tmp_path / "default" / "outputs" / "file").exists()
    assert children_with("301") + children_with("302") == []
    assert not await jobs.cancel("sleepy_fox_1")


async def test_a_job_cancelled_before_its_process_is_there_ends_too(tmp_path: Path, jobs: JobRunner) -> None:
    run = asyncio.create_task(jobs.run(job(tmp_path, "sleep 303")))
    await asyncio.sleep(0)
    assert await jobs.cancel("sleepy_fox_1")
    assert (await run).cancelled


async def test_when_the_caller_gives_up_no_process_is_left(tmp_path: Path, jobs: JobRunner, until: Until) -> None:
    run = asyncio.create_task(jobs.run(job(tmp_path, "sleep 304")))
    await until(lambda: bool(children_with("304")))
    run.cancel()
    await asyncio.wait([run])
    assert run.cancelled()
    assert children_with("304") == []


async def test_a_job_that_runs_again_starts_again(tmp_path: Path, jobs: JobRunner) -> None:
    command = "test ! -e mark && touch mark && echo ${{outputs.result}} && echo 1 > ${{outputs.result}}"
    outputs = {"result": tmp_path / "results" / "one.txt"}
    again = job(tmp_path, command, outputs=outputs, file_outputs=frozenset({"result"}))
    assert [(await jobs.run(again)).exit_code for _ in range(2)] == [0, 0]
    assert outputs["result"].read_text() == "1\n"
    assert jobs.log("sleepy_fox_1").read_text() == f"{outputs['result']}\n"


async def test_a_name_that_would_leave_the_folder_is_refused(tmp_path: Path, jobs: JobRunner) -> None:
    with pytest.raises(ValueError, match="not a valid job name"):
        await jobs.run(job(tmp_path, "true", name="../other"))


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("train --rate ${{inputs.rate}} --to ${{ outputs.model }}", "train --rate 0.1 --to /m"),
        ("train $[[--rate ${{inputs.rate}}]] $[[--seed ${{inputs.seed}}]]", "train --rate 0.1 "),
        ("echo ${HOME} $$ {{x}}", "echo ${HOME} $$ {{x}}"),
        ("echo ${{inputs.group.depth}}", "echo 3"),
    ],
)
def test_references_in_a_command_are_replaced(command: str, expected: str) -> None:
    assert substitute(command, {"rate": "0.1", "group.depth": "3"}, {"model": Path("/m")}) == expected


@pytest.mark.parametrize(
    "command",
    [
        "cat ${{inputs.data}}",
        'cat "${{inputs.data}}"',
        "cat '${{inputs.data}}'",
        "cat ${{inputs.folder}}/data.txt",
        """sh -c "cat \\"\\$0\\"" ${{inputs.data}}""",
        'X=${{inputs.data}}; cat "$X"',
        "cat ${{inputs.quotation}}${{inputs.data}}'",  # a text goes in as it is, and opens a quotation here
    ],
)
async def test_a_path_is_one_word_for_the_shell_whatever_is_in_it(
    tmp_path: Path, jobs: JobRunner, command: str
) -> None:
    folder = tmp_path / """my pröj's "$x" `y` \\"""
    folder.mkdir()
    (folder / "data.txt").write_text("read")
    inputs = {"data": folder / "data.txt", "folder": folder, "quotation": "'"}
    end = await jobs.run(job(tmp_path, command, inputs=inputs))
    assert (end.log.read_text(), end.exit_code) == ("read", 0)


def test_a_reference_to_something_the_job_does_not_have_is_named() -> None:
    with pytest.raises(ValueError, match=r"\$\{\{inputs\.seed\}\}, but the job has no input seed"):
        substitute("train ${{inputs.seed}}", {}, {})
