"""Runs the scoring script of a batch deployment over the files of a job's inputs, one mini-batch after the other.

Runs in the compute's environment, as a job's command. What `run` returns is appended to the output file: a row for each
element of a list or row of a DataFrame, separated by spaces, without a header. An MLflow model needs no script; of each
row of a CSV, JSON or Parquet file it writes the row's number, the prediction and the file's name.
"""

import argparse
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def main() -> None:
    given = _arguments()
    os.environ["AZUREML_MODEL_DIR"] = str(_model_folder(given.model))
    os.environ["AZUREML_BI_OUTPUT_PATH"] = str(given.output)
    script = _script(given.script) if given.script else _MlflowModel()
    script.init()
    failed = 0
    with (given.output / given.output_file).open("w", encoding="utf-8") as output:
        for mini_batch in _mini_batches(given.inputs, given.mini_batch_size):
            rows = _scored(script, mini_batch, given.max_retries)
            if rows is None:
                failed += len(mini_batch)
            elif given.output_action != "SummaryOnly":
                output.writelines(f"{row}\n" for row in rows)
            if 0 <= given.error_threshold < failed:
                sys.exit(f"{failed} files failed, which is more than the error threshold of {given.error_threshold}.")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--script", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--output-file", required=True)
    parser.add_argument("--output-action", required=True)
    parser.add_argument("--mini-batch-size", type=int, required=True)
    parser.add_argument("--max-retries", type=int, required=True)
    parser.add_argument("--error-threshold", type=int, required=True)
    parser.add_argument("inputs", nargs="*", type=Path)
    return parser.parse_args()


def _model_folder(model: Path | None) -> Path:
    """A folder that has the model in it under its own name."""
    folder = Path("azureml-models").absolute()
    folder.mkdir(exist_ok=True)
    if model:
        copy = shutil.copytree if model.is_dir() else shutil.copy
        copy(model, folder / model.name)
    return folder


def _script(path: Path) -> Any:
    """The module of the scoring script, which may import what is beside it."""
    sys.path.insert(0, str(path.parent.absolute()))
    specification = importlib.util.spec_from_file_location("scoring_script", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def _mini_batches(inputs: list[Path], size: int) -> Iterator[list[str]]:
    files = [
        str(file)
        for each in inputs
        for file in ([each] if each.is_file() else sorted(found for found in each.rglob("*") if found.is_file()))
    ]
    for start in range(0, len(files), size):
        yield files[start : start + size]


def _scored(script: Any, mini_batch: list[str], max_retries: int) -> list[str] | None:
    """The rows for the output; None if the script failed each time."""
    for attempt in range(max_retries + 1):
        try:
            return _rows(script.run(mini_batch))
        except Exception as error:  # noqa: BLE001 - whatever the user's own code raises
            sys.stderr.write(f"Attempt {attempt + 1} to score {', '.join(mini_batch)} failed: {error!r}\n")
    return None


def _rows(result: Any) -> list[str]:
    if hasattr(result, "to_csv"):
        return str(result.to_csv(sep=" ", header=False, index=False)).splitlines()
    return [str(each) for each in result]


class _MlflowModel:
    """Stands for the script that the service makes for an MLflow model."""

    def init(self) -> None:
        from mlflow import pyfunc  # type: ignore[import-not-found]  # only in the environment of the compute

        (found,) = Path(os.environ["AZUREML_MODEL_DIR"]).glob("**/MLmodel")
        self._model = pyfunc.load_model(str(found.parent))

    def run(self, mini_batch: list[str]) -> list[str]:
        return [
            f"{number} {prediction} {Path(file).name}"
            for file in mini_batch
            for number, prediction in enumerate(self._model.predict(_table(file)))
        ]


def _table(file: str) -> Any:
    import pandas  # type: ignore[import-untyped]  # only in the environment of the compute

    readers = {".csv": pandas.read_csv, ".json": pandas.read_json, ".parquet": pandas.read_parquet}
    reader = readers.get(Path(file).suffix.lower())
    if not reader:
        raise ValueError(f"{file} cannot be read without a scoring script, only CSV, JSON and Parquet files can")
    return reader(file)


if __name__ == "__main__":
    main()
