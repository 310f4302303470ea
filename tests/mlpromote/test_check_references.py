"""`mlpromote check` follows what jobs, components and pipelines refer to, and says it once, in words."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from mlpromote.exit_codes import ExitCode
from tests.mlpromote.conftest import CommandLine

ROUTE = """\
routes:
  training:
    from: dev
    pipelines: {experiment: training, definition: pipelines/train.yml}
    stages:
      - environment: prod
        run: {compute: cpu, inputs: {sales: sales-all@latest}}
        register: {output: model, model: prices}
  prices:
    from: prod
    models: [prices]
    stages:
      - environment: prod
        endpoint: prices
        deployment: serving/prices.yml
        evaluate:
          job: evaluation/job.yml
          inputs: {holdout: sales-holdout@latest}
          gates: [{metric: mae, at_most: 5}]
"""
PIPELINE = """\
type: pipeline
inputs:
  sales: {type: uri_file, path: "azureml:sample@latest"}
  trees: 30
outputs:
  model: {type: mlflow_model}
jobs:
  clean:
    type: command
    component: ../steps/clean.yml
    inputs: {sales: "${{parent.inputs.sales}}"}
  fit:
    type: command
    component: ../steps/fit.yml
    inputs:
      table: ${{parent.jobs.clean.outputs.table}}
      trees: ${{parent.inputs.trees}}
    outputs:
      model: ${{parent.outputs.model}}
"""
CLEAN = """\
type: command
name: clean
command: python clean.py ${{inputs.sales}} ${{outputs.table}}
code: code
inputs: {sales: {type: uri_file}}
outputs: {table: {type: uri_folder}}
environment: {image: some-image, conda_file: conda.yml}
"""
FIT = """\
type: command
name: fit
command: echo ${{inputs.table}} ${{inputs.trees}} $[[--seed ${{inputs.seed}}]] ${{outputs.model}}
inputs: {table: {type: uri_folder}, trees: {type: integer}, seed: {type: integer, optional: true}}
outputs: {model: {type: mlflow_model}}
environment: {image: some-image, conda_file: conda.yml}
"""
JOB = """\
type: command
command: echo ${{inputs.model}} $[[${{inputs.champion}}]] ${{inputs.holdout}}
inputs:
  model: {type: mlflow_model}
  champion: {type: mlflow_model, optional: true}
  holdout: {type: uri_file}
environment: {image: some-image, conda_file: ../steps/conda.yml}
"""
FILES: Mapping[str, str] = {
    "promotion.yml": ROUTE,
    "pipelines/train.yml": PIPELINE,
    "steps/clean.yml": CLEAN,
    "steps/fit.yml": FIT,
    "steps/conda.yml": "dependencies: [python=3.11]\n",
    "steps/code/clean.py": "pass\n",
    "evaluation/job.yml": JOB,
    "serving/prices.yml": "instance_type: Standard_DS3_v2\ninstance_count: 1\n",
}
SWEEP = """\
  tune: {type: sweep, trial: ../steps/fit.yml, sampling_algorithm: random, compute: azureml:cpu,
    objective: {goal: minimize, primary_metric: mae}, search_space: {trees: {type: choice, values: [1]}}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    return tmp_path


def faults(mlpromote: CommandLine, folder: Path) -> list[str]:
    ended = mlpromote("check", str(folder))
    assert ended.code in (ExitCode.DONE, ExitCode.REFUSED), ended
    *found, _ = ended.output.replace(f"{folder}/", "").splitlines()
    return found if ended.code else []


def test_what_refers_to_what_is_there_has_no_fault(mlpromote: CommandLine, folder: Path) -> None:
    assert faults(mlpromote, folder) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        (
            "evaluation/job.yml",
            "inputs.holdout",
            "inputs.holdott",
            ["2:1: ${{inputs.holdott}}: there is no input holdott"],
        ),
        (
            "evaluation/job.yml",
            "$[[${{inputs.champion}}]]",
            "${{inputs.champion}}",
            ["2:1: input champion is optional"],
        ),
        ("steps/clean.yml", "outputs.table", "outputs.tabl", ["3:1: ${{outputs.tabl}}: there is no output tabl; did"]),
        ("steps/clean.yml", "python clean.py", "python claen.py", ["3:1: there is no claen.py in code"]),
        (
            "pipelines/train.yml",
            "parent.inputs.trees",
            "parent.inputs.tree",
            ["17:7: ${{parent.inputs.tree}}: there is"],
        ),
        (
            "pipelines/train.yml",
            "jobs.clean.outputs.table",
            "jobs.clean.outputs.x",
            ["16:7: ", "clean has no output x"],
        ),
        ("pipelines/train.yml", "jobs.clean.outputs", "jobs.claen.outputs", ["16:7: ", "there is no step claen; did"]),
        (
            "pipelines/train.yml",
            "parent.outputs.model",
            "parent.outputs.modl",
            ["19:7: ", "there is no output modl; did"],
        ),
        ("pipelines/train.yml", "      trees: $", "      tree: $", ["17:7: the component has no input tree; did you"]),
        (
            "pipelines/train.yml",
            "      trees: ${{parent.inputs.trees}}\n",
            "",
            ["15:5: the component needs input trees"],
        ),
        (
            "promotion.yml",
            "output: model,",
            "output: modell,",
            ["8:20: the pipeline has no output modell; did you mean"],
        ),
        ("promotion.yml", "{sales: sales-all@latest}", "{}", ["7:29: must give data for the pipeline's input sales"]),
        (
            "promotion.yml",
            "sales-all@latest",
            "sales-all",
            ["7:38: sales is data: must be NAME@latest or NAME:VERSION"],
        ),
        ("promotion.yml", "@latest}}", "@latest, tree: 3}}", ["the pipeline has no input tree; did you mean trees?"]),
    ],
)
def test_a_wrong_name_is_found_where_it_is_written(
    mlpromote: CommandLine, folder: Path, file: str, old: str, new: str, says: list[str]
) -> None:
    assert old in FILES[file]
    (folder / file).write_text(FILES[file].replace(old, new), encoding="utf-8")
    found = faults(mlpromote, folder)
    assert [line for line in found if line.startswith(f"{file}:") and all(each in line for each in says)], found


def test_a_definition_with_a_step_that_cannot_be_promoted_is_refused(mlpromote: CommandLine, folder: Path) -> None:
    (folder / "pipelines/train.yml").write_text(PIPELINE + SWEEP, encoding="utf-8")
    says = "step tune is of type sweep, but only steps of type command can be promoted"
    assert any(says in line for line in faults(mlpromote, folder))


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("steps/conda.yml", "dependencies: [\n", "steps/conda.yml:2:1: is not YAML: "),
        ("steps/fit.yml", "inputs: [\ncommand: x\n", "steps/fit.yml:3:1: is not YAML: "),
        ("steps/fit.yml", None, "pipelines/train.yml:14:5: ../steps/fit.yml does not exist"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_fault_however_often_it_is_named(
    mlpromote: CommandLine, folder: Path, file: str, content: str | None, says: str
) -> None:
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_text(content, encoding="utf-8")
    [found] = faults(mlpromote, folder)
    assert found.startswith(says), found


def test_a_missing_conda_file_is_said_where_it_is_named_and_in_few_words(mlpromote: CommandLine, folder: Path) -> None:
    (folder / "steps/conda.yml").unlink()
    assert [line.partition(":")[0::2] for line in faults(mlpromote, folder)] == [
        ("evaluation/job.yml", "7:34: ../steps/conda.yml does not exist [file]"),
        ("steps/clean.yml", "7:34: conda.yml does not exist [file]"),
        ("steps/fit.yml", "6:34: conda.yml does not exist [file]"),
    ]


@pytest.mark.parametrize(("every", "is_kept"), [("1m", False), ("899s", False), ("15m", True), ("30d", True)])
def test_a_schedule_that_the_app_cannot_keep_is_a_fault(
    every: str, is_kept: bool, mlpromote: CommandLine, folder: Path
) -> None:
    text = ROUTE.replace("sales-all@latest}}", f"sales-all@latest}}, every: {every}}}", 1)
    assert text != ROUTE
    (folder / "promotion.yml").write_text(text, encoding="utf-8")
    found = faults(mlpromote, folder)
    says = "must not be shorter than 15m: the app looks only every 15m for what is due"
    assert len(found) == (0 if is_kept else 1), found
    assert all(line.startswith("promotion.yml:7:") and says in line for line in found), found
