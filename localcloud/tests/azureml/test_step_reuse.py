"""Reuse of steps: what ran before with the same content is complete at once, unless a job or a component says no."""

from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml import Input, Output, dsl
from azure.ai.ml.entities import CommandComponent, Component, Environment, PipelineJob, PipelineJobSettings

from .conftest import ControlPlane, workspace_id
from .test_jobs import ended
from .test_pipelines import history

WORKSPACE = workspace_id("ws-dev")


def component(cloud: ControlPlane, name: str, content: str = "", **more: Any) -> Component:
    """Writes the number that it is given, and the name of the job that it ran in. Its content differs from others'
    unless it is given."""
    client = cloud.client()
    client.environments.create_or_update(Environment(name="reuse", version="1", image="image"))
    script = "echo ${{inputs.number}} $AZUREML_ROOT_RUN_ID > ${{outputs.rows}}/number"
    script += f" # {content or name}"
    made: Component = client.components.create_or_update(
        CommandComponent(
            name=name,
            version="1",
            command=script,
            environment="azureml:reuse:1",
            inputs={"number": Input(type="number"), "before": Input(type="uri_folder", optional=True)},
            outputs={"rows": Output(type="uri_folder")},
            **more,
        )
    )
    return made


def run(
    cloud: ControlPlane, write: Component, number: float, *, force: bool = False, named: dict[str, str] | None = None
) -> str:
    """Runs a pipeline of two such steps, the second of which reads from the first; the name of its job."""

    @dsl.pipeline(None, compute="cpu", experiment_name="reuse")
    def pipeline() -> dict[str, Any]:
        first = write(number=1)
        second = write(number=number, before=first.outputs.rows)
        return {"rows": second.outputs.rows}

    job: PipelineJob = pipeline()
    job.settings = PipelineJobSettings(default_compute="cpu", force_rerun=force)
    job.outputs["rows"] = Output(type="uri_folder", **(named or {}))
    made = cloud.client().jobs.create_or_update(job)
    assert ended(cloud, made.name) == "Completed"
    return str(made.name)


def steps(cloud: ControlPlane, job: str) -> dict[str, dict[str, Any]]:
    """The run history of each step, by its name in the pipeline."""
    children = cloud.client().jobs.list(parent_job_name=job)
    return {str(child.display_name): history(cloud, str(child.name)) for child in children}


def reused(cloud: ControlPlane, job: str) -> dict[str, str | None]:
    return {name: run["properties"].get("azureml.reusedrunid") for name, run in steps(cloud, job).items()}


def downloaded(cloud: ControlPlane, job: str, folder: Path) -> str:
    cloud.client().jobs.download(job, download_path=folder, output_name="rows")
    return next(folder.rglob("number")).read_text()


def test_a_step_that_ran_before_is_reused_with_its_outputs_and_artifacts(cloud: ControlPlane, tmp_path: Path) -> None:
    write = component(cloud, "reuse_whole")
    first = run(cloud, write, 2)
    again = run(cloud, write, 2)
    runs = steps(cloud, first)
    assert reused(cloud, first) == {"first": None, "second": None}
    assert reused(cloud, again) == {name: run["runId"] for name, run in runs.items()}
    second = steps(cloud, again)["second"]
    assert second["properties"]["azureml.isreused"] == "true"
    assert second["properties"]["azureml.reusedpipelinerunid"] == first
    assert second["dataContainerId"] == f"dcid.{runs['second']['runId']}"
    assert second["runId"] != runs["second"]["runId"]
    assert downloaded(cloud, again, tmp_path) == f"2 {first}\n"
    third = run(cloud, write, 2)
    assert reused(cloud, third)["second"] == runs["second"]["runId"]


def test_only_the_steps_before_a_change_are_reused(cloud: ControlPlane, tmp_path: Path) -> None:
    write = component(cloud, "reuse_partly")
    first = run(cloud, write, 2)
    other = run(cloud, write, 3)
    assert reused(cloud, other) == {"first": steps(cloud, first)["first"]["runId"], "second": None}
    assert downloaded(cloud, other, tmp_path) == f"3 {other}\n"


def test_of_two_equal_steps_of_a_pipeline_one_runs_whatever_their_components_are_called(cloud: ControlPlane) -> None:
    one, other = (component(cloud, f"reuse_{name}", "equal") for name in ("one", "other"))

    @dsl.pipeline(None, compute="cpu", experiment_name="reuse")
    def pipeline() -> None:
        one(number=77)
        other(number=77)

    job = str(cloud.client().jobs.create_or_update(pipeline()).name)
    assert ended(cloud, job) == "Completed"
    runs = steps(cloud, job)
    [ran] = [run["runId"] for run in runs.values() if "azureml.isreused" not in run["properties"]]
    [copy] = [run for run in runs.values() if run["runId"] != ran]
    assert (copy["properties"]["azureml.reusedrunid"], copy["properties"]["azureml.reusedpipelinerunid"]) == (ran, job)
    assert copy["dataContainerId"] == f"dcid.{ran}"


def test_a_step_that_was_to_get_the_results_of_one_that_fails_fails_with_it(cloud: ControlPlane) -> None:
    fails = cloud.client().components.create_or_update(
        CommandComponent(name="reuse_fails", version="1", command="exit 3", environment="azureml:reuse:1")
    )

    @dsl.pipeline(None, compute="cpu", experiment_name="reuse")
    def pipeline() -> None:
        fails()
        fails()

    job = str(cloud.client().jobs.create_or_update(pipeline()).name)
    assert ended(cloud, job) == "Failed"
    assert [run["status"] for run in steps(cloud, job).values()] == ["Failed", "Failed"]


def test_a_forced_run_and_a_component_that_is_not_deterministic_run_again(cloud: ControlPlane) -> None:
    write = component(cloud, "reuse_forced")
    run(cloud, write, 2)
    assert reused(cloud, run(cloud, write, 2, force=True)) == {"first": None, "second": None}
    draws = component(cloud, "reuse_never", is_deterministic=False)
    run(cloud, draws, 2)
    assert reused(cloud, run(cloud, draws, 2)) == {"first": None, "second": None}


@pytest.mark.parametrize("version", ["5", None])
def test_a_named_output_of_a_reused_step_is_registered(cloud: ControlPlane, version: str | None) -> None:
    name = f"reuse-named-{version}"
    write = component(cloud, f"reuse_named_{version or 'any'}")
    named = {"name": name} | ({"version": version} if version else {})
    first = run(cloud, write, 2, named=named)
    again = run(cloud, write, 2, named=named)
    assert reused(cloud, again)["second"] == steps(cloud, first)["second"]["runId"]
    versions = {each.version: each.path for each in cloud.client().data.list(name)}
    assert set(versions) == ({"5"} if version else {"1", "2"})
    assert len(set(versions.values())) == 1


def test_a_step_of_a_pipeline_in_a_pipeline_is_reused_too(cloud: ControlPlane, tmp_path: Path) -> None:
    write = component(cloud, "reuse_inner")

    @dsl.pipeline(None)
    def inner() -> dict[str, Any]:
        return {"rows": write(number=7).outputs.rows}

    @dsl.pipeline(None, compute="cpu", experiment_name="reuse")
    def outer() -> dict[str, Any]:
        step: Any = inner()
        return {"rows": step.outputs.rows}

    client, jobs = cloud.client(), []
    for _ in range(2):
        jobs.append(str(client.jobs.create_or_update(outer()).name))
        assert ended(cloud, jobs[-1]) == "Completed"
    assert downloaded(cloud, jobs[1], tmp_path) == f"7 {jobs[0]}\n"
