"""The example of a training pipeline: its files are ones that the SDK loads, and its steps do what the story says."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml import load_component, load_job

from shared.config import load
from tests.examples.scripts import REPOSITORY, Scripts
from tests.examples.test_project import SETTINGS

# The SDK's own use of marshmallow warns.
pytestmark = pytest.mark.filterwarnings("ignore::marshmallow.warnings.RemovedInMarshmallow4Warning")

EXAMPLE = REPOSITORY / "examples" / "digits_pipeline"
ROUTES: Mapping[str, Any] = load(EXAMPLE / "promotion.yml", SETTINGS).routes

Run = Callable[..., str]


@pytest.fixture(scope="module")
def run(scripts: Scripts, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """What a script of the example prints."""
    runs = tmp_path_factory.mktemp("pipeline") / "runs"

    def run(script: Path, *arguments: object) -> str:
        ended = scripts.run(script, *arguments, runs=runs)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    return run


@pytest.fixture(scope="module")
def data(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    run(EXAMPLE / "data" / "make_data.py", folder)
    return folder


def printed(output: str) -> dict[str, float]:
    """The metrics in the line `… images: NAME VALUE NAME VALUE`."""
    words = output.strip().rpartition("images: ")[2].split()
    return {name: float(value) for name, value in zip(words[::2], words[1::2], strict=True)}


def trained(run: Run, data: Path, split: str, folder: Path) -> dict[str, float]:
    """Run both steps of the pipeline on some data. Return the metrics that the second one logs."""
    prepared = folder / "prepared"
    prepared.mkdir()
    run(EXAMPLE / "prepare" / "prepare.py", "--images", data, "--split", split, "--prepared", prepared)
    return printed(run(EXAMPLE / "train" / "train.py", "--prepared", prepared, "--model", folder / "model"))


def test_the_pipeline_is_one_that_the_sdk_loads_and_that_the_route_takes() -> None:
    job: Any = load_job(EXAMPLE / "pipeline.yml")
    route = ROUTES["digits-training"]
    assert route.pipelines.takes(job.experiment_name, job.tags)
    (stage,) = route.stages
    assert set(stage.run.inputs) <= set(job.inputs)
    assert stage.register_as.output in job.outputs
    for name in ("prepare", "train"):
        component: Any = load_component(EXAMPLE / "components" / f"{name}.yml")
        assert (EXAMPLE / "components" / component.code / f"{name}.py").is_file()


def test_what_the_pipeline_registers_is_what_the_other_route_takes() -> None:
    registers, takes = ROUTES["digits-training"].stages[0].register_as, ROUTES["digits"]
    assert takes.source == "prod"
    assert takes.takes(registers.model)
    assert takes.require_tags.items() <= registers.tags.items()


def test_the_pipeline_does_as_well_on_all_data_as_on_the_sample(run: Run, data: Path, tmp_path: Path) -> None:
    seen = {}
    for name in ("sample", "production"):
        (tmp_path / name).mkdir()
        seen[name] = trained(run, data / name, "random", tmp_path / name)["accuracy"]
    assert _holds(seen["production"], seen["sample"])


def test_a_split_that_looks_harmless_on_the_sample_is_refused_in_production(
    run: Run, data: Path, tmp_path: Path
) -> None:
    seen = {}
    for name in ("sample", "production"):
        (tmp_path / name).mkdir()
        seen[name] = trained(run, data / name, "last", tmp_path / name)["accuracy"]
    assert seen["sample"] > 0.9
    assert not _holds(seen["production"], seen["sample"])


def _holds(value: float, source: float) -> bool:
    """Whether it passes the stage's gate."""
    (gate,) = ROUTES["digits-training"].stages[0].gates
    return bool(value >= gate.at_least and source - value <= gate.no_worse_than_source_by)


def test_the_first_step_drops_the_lines_that_are_broken(run: Run, data: Path, tmp_path: Path) -> None:
    lines = (data / "production" / "images.csv").read_text().splitlines()
    output = run(
        *(EXAMPLE / "prepare" / "prepare.py", "--images", data / "production"),
        *("--split", "random", "--prepared", tmp_path),
    )
    kept = [len((tmp_path / f"{part}.csv").read_text().splitlines()) for part in ("train", "test")]
    assert (sum(kept), len(lines)) == (1200, 1220)
    assert "dropped 20" in output


def test_the_evaluation_measures_both_models_and_the_candidate_alone_without_a_champion(
    run: Run, data: Path, tmp_path: Path, model: Path, poor_model: Path
) -> None:
    job: Any = load_job(EXAMPLE / "jobs" / "evaluate.yml", params_override=[{"inputs": {}}])
    assert (EXAMPLE / "jobs" / job.code / "evaluate.py").is_file()
    script, images = EXAMPLE / "evaluate" / "evaluate.py", data / "holdout"
    both = printed(run(script, "--model", model, "--champion", poor_model, "--images", images))
    alone = printed(run(script, "--model", model, "--images", images))
    assert set(both) == {"accuracy", "log_loss", "champion.accuracy", "champion.log_loss"}
    assert alone == {name: both[name] for name in ("accuracy", "log_loss")}
    assert both["accuracy"] > both["champion.accuracy"]


def test_no_image_that_is_held_out_is_among_those_to_train_with(data: Path) -> None:
    def images(name: str) -> set[str]:
        return set((data / name / "images.csv").read_text().splitlines())

    assert images("holdout").isdisjoint(images("production"))
    whole = {line for line in images("sample") if line.count(",") == 64 and not line.startswith(",")}
    assert whole <= images("production")
