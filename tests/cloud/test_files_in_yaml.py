"""Files of teams that are no YAML: each kind is refused in words, whatever is wrong with it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from shared.cloud import (
    azureml_batch_files,
    azureml_deployments,
    azureml_endpoints,
    azureml_job_files,
    azureml_monitors,
)
from shared.ports import RejectedError

READERS: dict[str, Callable[[Path], object]] = {
    "deployment": azureml_deployments.described,
    "batch deployment": azureml_batch_files.described,
    "endpoint": azureml_endpoints.described,
    "batch endpoint": azureml_batch_files.described_endpoint,
    "job": azureml_job_files.described,
    "monitor": azureml_monitors.described,
}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"name: [", "cannot be read"),
        (b"tags: {made: 2026-13-01}", "cannot be read"),
        (b"name: \xff", "cannot be read"),
        (b"[" * 5000, "cannot be read"),
        (b"- a list", "does not describe a .* in YAML"),
        (b"", "does not describe a .* in YAML"),
    ],
    ids=["no YAML", "an impossible date", "no text", "nested too deeply", "a list", "empty"],
)
@pytest.mark.parametrize("kind", READERS)
def test_a_file_that_is_no_mapping_is_refused_in_words(kind: str, content: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.yml"
    file.write_bytes(content)
    with pytest.raises(RejectedError, match=rf"The {kind.split()[-1]} file wrong.yml {said}"):
        READERS[kind](file)


@pytest.mark.parametrize("kind", READERS)
def test_a_missing_file_is_refused_with_the_setting_to_correct(kind: str, tmp_path: Path) -> None:
    with pytest.raises(RejectedError, match=r"There is no \w+ file .*missing.yml\. Correct `\w+` of the stage\."):
        READERS[kind](tmp_path / "missing.yml")
