import json
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.core.approval import Author
from shared.core.messages import Failed, FailureKind, Retry, Running, Succeeded
from shared.core.wire import from_json
from shared.ports import Bound, ChildJob, EnvironmentAsset, Node, PipelineDefinition, UnavailableError
from shared.worker.steps.register_components import RegisteredComponents
from tests.fakes.pipelines import REGISTRY
from tests.steps.pipeline import (
    CODE,
    CURATED,
    FILES,
    INLINE,
    JOB,
    NAMED,
    TRAIN,
    Line,
    component,
    pipeline_job,
)
from tests.steps.promotion import DEV_WORKSPACE


def registered(line: Line) -> RegisteredComponents:
    outcome = line.run("register_components")
    assert isinstance(outcome, Succeeded), outcome
    return from_json(RegisteredComponents, outcome.evidence)


def refused(line: Line) -> Failed:
    outcome = line.run("register_components")
    assert isinstance(outcome, Failed), outcome
    return outcome


def test_what_ran_is_rebuilt_in_the_registry_under_names_with_digests_as_versions(line: Line) -> None:
    line.dev.polls_until_ready = 2
    seen = registered(line)
    assert seen.components.keys() == {"prepare", "train"}
    names = {name: each.component.split("/")[5] for name, each in seen.components.items()}
    assert names == {"prepare": "churn_training_prepare", "train": "train"}
    for each in seen.components.values():
        assert each.component.endswith(each.digest[:32])
        there = line.dev.registry.components[each.component]
        assert there.code.startswith(f"{REGISTRY}/codes/mlpromote-")
        assert dict(line.dev.registry.codes[there.code]) == FILES
    assert set(seen.components["train"].files) == {"train.py", "lib/features.py"}
    assert seen.job.name == JOB
    assert seen.job.git == {"commit": "f00d"}
    assert seen.job.inputs == {"rows": f"{DEV_WORKSPACE}/data/churn-sample/versions/2"}
    assert seen.figures.metrics == {"auc": 0.9}


def test_environments_are_shared_rebuilt_or_used_as_they_are(line: Line) -> None:
    line.dev.own.components[TRAIN] = component(NAMED)
    line.dev.pipelines[JOB] = pipeline_job(
        nodes={**pipeline_job().nodes, "score": Node("command", f"{DEV_WORKSPACE}/components/score/versions/1")}
    )
    line.dev.own.components[f"{DEV_WORKSPACE}/components/score/versions/1"] = component(CURATED)
    seen = registered(line)
    assert seen.components["train"].environment == f"{REGISTRY}/environments/sklearn/versions/3"
    assert seen.components["score"].environment == CURATED
    rebuilt = line.dev.registry.environments[seen.components["prepare"].environment]
    assert rebuilt.name == "churn-training-environment"
    assert rebuilt.image == "image:2"
    assert "pip" in rebuilt.conda
    assert seen.components["prepare"].environment.endswith(seen.components["prepare"].environment_digest[:32])


def test_inputs_that_had_data_of_dev_are_inputs_of_the_pipeline_and_values_stay(line: Line) -> None:
    job = pipeline_job()
    train = replace(
        job.nodes["train"],
        inputs={**job.nodes["train"].inputs, "labels": Bound(data=f"{DEV_WORKSPACE}/data/l/versions/1")},
    )
    line.dev.pipelines[JOB] = replace(job, nodes={**job.nodes, "train": train})
    graph = registered(line).graph
    assert {name: (each.data, each.default) for name, each in graph.inputs.items()} == {
        "rows": ("uri_folder", None),
        "rate": ("", "0.3"),
        "train_labels": ("uri_folder", None),
    }
    assert graph.nodes["train"].inputs["labels"].value == "${{parent.inputs.train_labels}}"
    assert graph.nodes["train"].inputs["rate"].value == "7"
    assert graph.nodes["train"].inputs["rows"].value == "${{parent.jobs.prepare.outputs.clean}}"
    assert graph.nodes["train"].outputs["model"].value == "${{parent.outputs.model}}"
    assert graph.outputs == {"model": "mlflow_model"}
    assert "ws-dev" not in str(graph)
    assert graph.nodes["train"].settings == {"resources": {"instance_count": "1"}}


def test_the_same_pipeline_twice_is_one_version_of_everything(line: Line) -> None:
    first = registered(line)
    line.dev.pipelines["train-8"] = pipeline_job(name="train-8")
    # Submitted anew, code and inline components have other ids.
    line.dev.own.codes[f"{DEV_WORKSPACE}/codes/other/versions/1"] = dict(FILES)
    line.dev.own.components[TRAIN] = component(NAMED, f"{DEV_WORKSPACE}/codes/other/versions/1")
    calls = line.dev.calls["start_component"], line.dev.calls["start_code"], line.dev.calls["start_environment"]
    second = registered(line.with_(version="train-8", promotion="another"))
    assert second.pipeline == first.pipeline
    assert second.components == first.components
    assert calls == tuple(line.dev.calls[each] for each in ("start_component", "start_code", "start_environment"))


@pytest.mark.parametrize("what", ["command", "code", "environment", "value", "wiring"])
def test_any_change_of_the_pipeline_is_another_pipeline(line: Line, what: str) -> None:
    first = registered(line).pipeline
    job = pipeline_job()
    if what == "command":
        line.dev.own.components[TRAIN] = component(NAMED, command="python train.py --more")
    if what == "code":
        line.dev.own.codes[CODE] = {**FILES, "train.py": b"import os"}
    if what == "environment":
        line.dev.own.environments[INLINE] = replace(line.dev.own.environments[INLINE], conda="dependencies: [torch]")
    if what == "value":
        line.dev.pipelines[JOB] = replace(job, inputs={**job.inputs, "rate": Bound("0.4")})
    if what == "wiring":
        train = replace(job.nodes["train"], inputs={"rows": Bound("${{parent.inputs.rows}}")})
        line.dev.pipelines[JOB] = replace(job, nodes={**job.nodes, "train": train})
    assert registered(line).pipeline != first


@pytest.mark.parametrize("kind", ["sweep", "parallel", "automl", "pipeline", "spark"])
def test_steps_that_cannot_be_rebuilt_are_refused_by_name(line: Line, kind: str) -> None:
    nodes = {**pipeline_job().nodes, "tune": Node(kind, "")}
    line.dev.pipelines[JOB] = pipeline_job(nodes=nodes)
    failed = refused(line)
    assert failed.kind is FailureKind.REFUSED
    assert f"Step tune of job {JOB} is of type {kind}" in failed.reason
    assert not line.dev.registry.components


def test_a_nested_pipeline_that_looks_like_a_command_is_refused(line: Line) -> None:
    line.dev.own.components[TRAIN] = replace(component(NAMED), kind="pipeline")
    assert "Step train of job train-7 is of type pipeline" in refused(line).reason


def test_a_job_that_was_made_from_a_component_asks_for_a_definition(line: Line) -> None:
    line.dev.pipelines[JOB] = pipeline_job(nodes={}, made_from=f"{DEV_WORKSPACE}/components/whole/versions/1")
    assert "`pipelines: {…, definition: FILE}`" in refused(line).reason


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"status": "Failed"}, "is Failed, and only completed jobs are promoted"),
        ({"experiment": "other"}, "belongs to experiment other"),
        ({"tags": {}}, "lacks the tag promote=true"),
        ({"is_pipeline": False}, "is not a pipeline job"),
    ],
)
def test_an_event_that_says_the_wrong_thing_of_a_job_is_not_believed(
    line: Line, changes: dict[str, object], words: str
) -> None:
    line.dev.pipelines[JOB] = pipeline_job(**changes)
    assert words in refused(line).reason
    assert not line.dev.registry.components


def test_a_definition_in_git_is_promoted_in_place_of_what_the_job_ran(line: Line) -> None:
    job = pipeline_job(
        nodes={"train": Node("command", "file:train", {"rows": Bound("${{parent.inputs.rows}}")})},
        inputs={"rows": Bound(data="azureml:sample:1", kind="uri_file")},
    )
    line.dev.definitions["churn.yml"] = PipelineDefinition(
        job,
        {"file:train": component("file:train/environment", "file:train/code")},
        {"file:train/code": {"main.py": b"pass"}},
        {"file:train/environment": EnvironmentAsset("file:train/environment", "x", "1", "image:9", is_anonymous=True)},
    )
    line.dev.pipelines[JOB] = pipeline_job(nodes={}, made_from=f"{DEV_WORKSPACE}/components/whole/versions/1")
    seen = registered(line.with_(task={**line.task, "definition": "pipelines/churn.yml"}))
    assert seen.components["train"].files.keys() == {"main.py"}
    assert seen.components["train"].component.split("/")[5] == "churn_training_train"
    assert seen.graph.inputs["rows"].data == "uri_file"
    assert seen.definition == "pipelines/churn.yml"
    assert seen.figures.metrics == {"auc": 0.9}


def test_a_squatted_component_is_a_conflict(line: Line) -> None:
    asset = registered(line).components["train"].component
    there = line.dev.registry.components[asset]
    line.dev.registry.components[asset] = replace(there, specification={"command": "curl evil"})
    failed = refused(line)
    assert failed.kind is FailureKind.CONFLICT
    assert f"another component {asset}" in failed.reason


def test_squatted_code_is_a_conflict(line: Line) -> None:
    code = registered(line).components["train"].code
    line.dev.registry.codes[code] = {**FILES, "train.py": b"import evil"}
    assert refused(line).kind is FailureKind.CONFLICT


def test_an_environment_of_the_same_name_with_other_content_is_a_conflict(line: Line) -> None:
    key = f"{REGISTRY}/environments/sklearn/versions/3"
    line.dev.registry.environments[key] = EnvironmentAsset(key, "sklearn", "3", "image:other")
    failed = refused(line)
    assert failed.kind is FailureKind.CONFLICT
    assert "another environment sklearn, version 3" in failed.reason


def test_a_squatted_environment_under_the_name_of_an_inline_one_is_a_conflict(line: Line) -> None:
    key = registered(line).components["prepare"].environment
    there = line.dev.registry.environments[key]
    line.dev.registry.environments[key] = replace(there, image="evil")
    assert "another environment churn-training-environment" in refused(line).reason


#: As run history and the registry name an asset of a workspace.
ORIGIN = "azureml://locations/west/workspaces/ws-dev/environments/CliV2AnonymousEnvironment/versions/abc"


def with_context(line: Line, origin: str) -> None:
    inline = line.dev.own.environments[INLINE]
    line.dev.own.environments[INLINE] = replace(inline, image="", conda="", build="https://x/context/", origin=origin)


def test_an_inline_environment_with_a_build_context_is_shared_under_a_name_of_its_own(line: Line) -> None:
    with_context(line, ORIGIN)
    key = registered(line).components["prepare"].environment
    assert key.startswith(f"{REGISTRY}/environments/churn-training-environment/versions/")
    assert (line.dev.registry.environments[key].origin, line.dev.calls["start_environment"]) == (ORIGIN, 0)
    assert registered(line).components["prepare"].environment == key
    assert line.dev.calls["start_environment_share"] == 2, "one for each of the pipeline's own environments, and once"


def test_what_squats_under_that_name_is_a_conflict(line: Line) -> None:
    with_context(line, ORIGIN)
    key = registered(line).components["prepare"].environment
    line.dev.registry.environments[key] = replace(line.dev.registry.environments[key], origin=ORIGIN + "d")
    assert "another environment churn-training-environment" in refused(line).reason


def test_a_build_context_of_a_file_is_refused_in_words_since_no_workspace_has_it(line: Line) -> None:
    with_context(line, "")
    assert "Register it as a named environment" in refused(line).reason


def test_a_metric_that_steps_disagree_on_is_none(line: Line) -> None:
    line.dev.children[JOB] = [
        (ChildJob("a", "prepare", "Completed"), {"auc": 0.1, "rows": 5}),
        (ChildJob("b", "train", "Completed"), {"auc": 0.9}),
    ]
    figures = registered(line).figures
    assert figures.metrics == {"rows": 5}
    assert figures.ambiguous == ("auc",)


def test_who_ran_the_job_is_told(line: Line) -> None:
    line.dev.pipeline_authors[JOB] = [Author("oid", "dora", is_person=True)]
    assert registered(line).authors == (Author("oid", "dora", is_person=True),)


@pytest.mark.parametrize("method", ["start_code", "start_component"])
def test_a_crash_after_each_registration_repeats_nothing(line: Line, method: str) -> None:
    line.dev.dies_after = method
    assert registered(line).pipeline == registered(Line.new(line.folder)).pipeline


@pytest.mark.parametrize(
    "method",
    [
        *("pipeline_job", "component", "environment_asset", "has_code", "code_files", "start_code", "start_component"),
        *("start_environment", "start_environment_share", "metrics", "step_metrics", "job_authors"),
    ],
)
def test_throttling_of_any_call_is_tried_again(line: Line, method: str) -> None:
    line.dev.raises[method] = UnavailableError("throttled", timedelta(seconds=3))
    outcomes = []
    state: object = {}
    for poll in range(1, 12):
        outcome = line.poll("register_components", poll, state)  # type: ignore[arg-type]
        outcomes.append(outcome)
        state = outcome.state if isinstance(outcome, Running) else state
        if isinstance(outcome, Succeeded):
            break
    assert Retry(timedelta(seconds=3), "throttled") in outcomes
    assert isinstance(outcomes[-1], Succeeded)


def test_code_that_cannot_change_is_read_again_only_to_be_uploaded_again(line: Line) -> None:
    line.dev.polls_until_ready = 6
    registered(line)
    assert line.dev.calls["start_code"] < 5
    looks_at_copies = 2  # one for each component
    assert line.dev.calls["code_files"] == line.dev.calls["start_code"] + looks_at_copies


def test_a_curated_environment_that_the_workspace_lists_is_used_from_microsofts_registry(line: Line) -> None:
    listed = NAMED.replace("/sklearn/versions/3", "/AzureML-sklearn-1.5/versions/33")
    line.dev.own.components[TRAIN] = component(listed)
    assert registered(line).components["train"].environment == (
        "azureml://registries/azureml/environments/AzureML-sklearn-1.5/versions/33"
    )
    assert line.dev.calls["start_environment_share"] == 0


@pytest.mark.parametrize(("values", "fits"), [(10_000, True), (10_001, False)])
def test_a_conda_file_has_at_most_so_many_values(line: Line, values: int, fits: bool) -> None:
    """The mapping and its list are values, too."""
    conda = json.dumps({"dependencies": ["pip"] * (values - 2)})
    line.dev.own.environments[INLINE] = replace(line.dev.own.environments[INLINE], conda=conda)
    outcome = line.run("register_components")
    assert isinstance(outcome, Succeeded) is fits, outcome
    assert fits or (isinstance(outcome, Failed) and "has more than 10000 values" in outcome.reason)
