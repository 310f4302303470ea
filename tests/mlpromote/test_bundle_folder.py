"""Which files of a folder become a bundle."""

import os
import socket
import warnings
from collections.abc import Iterable
from pathlib import Path

import pytest

from mlpromote import bundle_folder
from mlpromote.exit_codes import CommandError
from shared.cloud.azureml_uploads import local_files
from shared.config import bundle
from tests.config.teams import CHURN, edited, in_folder


def refused(folder: Path) -> str:
    with pytest.raises(CommandError) as refusal:
        bundle_folder.collect(folder)
    return str(refusal.value)


def touched(folder: Path, names: Iterable[str]) -> None:
    in_folder(folder, dict.fromkeys(names, b""))


def test_every_file_that_is_named_is_in_it_and_no_other(tmp_path: Path) -> None:
    in_folder(tmp_path, {**CHURN, "README.md": b"", "notebooks/try.ipynb": b"", "scoring/lib/rules.py": b"x"})
    assert bundle_folder.collect(tmp_path) == {**CHURN, "scoring/lib/rules.py": b"x"}


def test_the_archive_has_the_digest_that_the_app_computes(tmp_path: Path) -> None:
    digest, archive = bundle_folder.packed(in_folder(tmp_path, CHURN))
    assert digest == bundle.digest_of(CHURN) == bundle.digest_of(bundle.read(archive))


def test_the_same_files_elsewhere_with_other_times_and_modes_have_the_same_digest(tmp_path: Path) -> None:
    here, there = in_folder(tmp_path / "a", CHURN), in_folder(tmp_path / "my pröj", dict(reversed([*CHURN.items()])))
    for file in there.rglob("*.*"):
        os.utime(file, (1, 1))
        file.chmod(0o755)
    assert bundle_folder.packed(here) == bundle_folder.packed(there)


def test_jobs_components_and_pipelines_are_followed(tmp_path: Path) -> None:
    routes = b"""\
routes:
  training:
    from: dev
    pipelines: {experiment: x, definition: pipelines/all.yml}
    stages: [{environment: prod, run: {compute: serverless}}]
  scores:
    from: dev
    models: [churn]
    stages: [{environment: test, endpoint: churn, deployment: deployments/churn.yml, evaluate: {job: jobs/measure.yml}}]
"""
    files = {
        **CHURN,
        "promotion.yml": routes,
        "pipelines/all.yml": b"jobs: {one: {component: ../components/one.yml}, two: {component: 'azureml:two:1'}}\n",
        "components/one.yml": b"code: one\nadditional_includes: [../library]\nenvironment: file:env.yml\n",
        "components/env.yml": b"conda_file: conda.yml\n",
        "components/conda.yml": b"",
        "components/one/run.py": b"",
        "library/shared.py": b"",
        "jobs/measure.yml": b"code: measure\ninputs: {a: {path: ../sample.csv}, b: {path: 'azureml:x@latest'}}\n",
        "jobs/measure/measure.py": b"",
        "sample.csv": b"",
    }
    wanted = {name: content for name, content in files.items() if not name.startswith("smoke/")}
    assert bundle_folder.collect(in_folder(tmp_path, files)) == wanted


@pytest.mark.parametrize("ignoring", [".amlignore", ".gitignore"])
@pytest.mark.parametrize(
    "patterns",
    ["*.csv", "data/", "/rows.csv", "data/*\n!data/keep.txt", "# no\n\n**/deep", "*.txt\n!keep.txt", "a b.txt\n"],
)
def test_a_code_folder_is_taken_as_azure_ml_takes_it(tmp_path: Path, ignoring: str, patterns: str) -> None:
    folder = in_folder(tmp_path, CHURN) / "scoring"
    touched(
        folder, ("rows.csv", "data/rows.csv", "data/keep.txt", "data/deep/x.py", "deep/y.py", "a b.txt", "keep.txt")
    )
    (folder / ignoring).write_text(patterns)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the SDK's own use of marshmallow warns while it is imported
        uploaded = {file.relative_to(tmp_path).as_posix() for file in local_files(folder / "x.yml", folder)}
    assert {name for name in bundle_folder.collect(tmp_path) if name.startswith("scoring/")} == uploaded


def test_what_each_machine_makes_for_itself_is_left_out(tmp_path: Path) -> None:
    in_folder(tmp_path, CHURN)
    touched(tmp_path / "scoring", ("__pycache__/score.cpython-311.pyc", ".git/HEAD", ".DS_Store", "old.pyc"))
    assert bundle_folder.collect(tmp_path) == CHURN


def test_all_that_cannot_be_published_is_said_at_once(tmp_path: Path) -> None:
    outside = in_folder(tmp_path / "outside", {"rows.csv": b""})
    folder = in_folder(
        tmp_path / "team", edited(("deployments/churn.yml", "../environment/conda.yml", "../../conda.yml"))
    )
    (folder / "smoke" / "churn.jsonl").unlink()
    (folder / "scoring" / "rows.csv").symlink_to(outside / "rows.csv")
    (folder / "scoring" / ".env").write_text("KEY=1")
    says = refused(folder)
    assert says.startswith("4 files cannot be published:")
    assert "promotion.yml names smoke/churn.jsonl, which does not exist" in says
    assert (
        f"deployments/churn.yml names ../../conda.yml, which is outside of {folder}; move it into that folder" in says
    )
    assert f"scoring/rows.csv is a link to {outside / 'rows.csv'}, which is outside of {folder}" in says
    assert "scoring/.env looks like a secret; remove it, or name it in .amlignore" in says


def test_a_link_inside_the_folder_is_a_file_like_any_other(tmp_path: Path) -> None:
    in_folder(tmp_path, CHURN)
    (tmp_path / "scoring" / "linked.yml").symlink_to(tmp_path / "environment" / "conda.yml")
    assert bundle_folder.collect(tmp_path)["scoring/linked.yml"] == CHURN["environment/conda.yml"]


def test_a_link_to_the_folder_above_does_not_go_round_for_ever(tmp_path: Path) -> None:
    in_folder(tmp_path, CHURN)
    (tmp_path / "scoring" / "again").symlink_to(tmp_path)
    assert bundle_folder.collect(tmp_path) == CHURN


def test_what_is_no_ordinary_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(in_folder(tmp_path, CHURN))  # a socket's path may not be long
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("scoring/s")
        assert "scoring/s is not an ordinary file" in refused(tmp_path)


@pytest.mark.parametrize("name", ["scoring/pipe", "deployments/churn.yml", "promotion.yml"])
def test_a_pipe_is_refused_and_not_read(tmp_path: Path, name: str) -> None:
    """Reading it would never end."""
    folder = in_folder(tmp_path, {**CHURN, "scoring/pipe": b""})
    (folder / name).unlink()
    os.mkfifo(folder / name)
    says = "is not an ordinary file" if name != "promotion.yml" else "There is no promotion.yml"
    assert says in refused(folder)


@pytest.mark.parametrize("name", ["scoring/zero", "deployments/churn.yml"])
def test_a_link_to_a_device_is_refused_and_not_read(tmp_path: Path, name: str) -> None:
    folder = in_folder(tmp_path, {**CHURN, "scoring/zero": b""})
    (folder / name).unlink()
    (folder / name).symlink_to("/dev/zero")
    assert f"{name} is a link to /dev/zero, which is outside of" in refused(folder)


def test_a_link_that_leads_to_itself_is_refused(tmp_path: Path) -> None:
    folder = in_folder(tmp_path, CHURN)
    (folder / "scoring" / "loop").symlink_to("loop")
    assert "scoring/loop is not an ordinary file" in refused(folder)


@pytest.mark.parametrize("link", ["scoring/elsewhere", "scoring"])
def test_a_link_to_a_folder_outside_is_one_fault_and_not_followed(tmp_path: Path, link: str) -> None:
    outside = in_folder(tmp_path / "outside", {f"{number}.csv": b"" for number in range(50)})
    folder = in_folder(tmp_path / "team", CHURN)
    if link == "scoring":
        (folder / "scoring" / "score.py").unlink()
        (folder / "scoring").rmdir()
    (folder / link).symlink_to(outside)
    assert refused(folder).splitlines()[1:] == [f"  {link} is a link to {outside}, which is outside of {folder}"]


def test_a_folder_that_is_left_out_may_lead_anywhere(tmp_path: Path) -> None:
    folder = in_folder(tmp_path / "team", {**CHURN, "scoring/.amlignore": b"data/\n.amlignore\n"})
    (folder / "scoring" / "data").symlink_to("/usr")
    assert bundle_folder.collect(folder) == CHURN


def test_names_that_only_some_systems_take_are_refused(tmp_path: Path) -> None:
    folder = in_folder(tmp_path, {**CHURN, "scoring/Score.py": b"", "scoring/a:b.py": b"", "scoring/c\nd.py": b""})
    says = refused(folder)
    assert "scoring/score.py differs from scoring/Score.py only in the case of letters" in says
    assert says.count("has a character in its name that some systems refuse; rename it") == 2


def test_a_file_that_is_larger_than_a_bundle_is_not_read(tmp_path: Path) -> None:
    folder = in_folder(tmp_path, CHURN)
    with (folder / "scoring" / "rows.bin").open("wb") as large:
        large.truncate(1 << 40)  # no machine could hold it
    assert "scoring/rows.bin is the largest of all files; a bundle has at most 32 MB" in refused(folder)


def test_as_many_faults_are_counted_as_are_listed(tmp_path: Path) -> None:
    """A file may be named twice."""
    routes = CHURN["promotion.yml"].replace(b"smoke/churn.jsonl", b"scoring/.env")
    folder = in_folder(tmp_path, {**CHURN, "promotion.yml": routes, "scoring/.env": b"KEY=1"})
    assert refused(folder).splitlines()[0] == "1 file cannot be published:"


def test_a_folder_without_a_configuration_is_refused(tmp_path: Path) -> None:
    assert "There is no promotion.yml in" in refused(tmp_path)


def test_data_beyond_the_limit_is_refused_with_the_largest_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "MOST_BYTES", 1 << 20)
    in_folder(tmp_path, {**CHURN, "scoring/rows.csv": b"x" * (2 << 20)})
    assert "scoring/rows.csv is the largest of all files; a bundle has at most 1 MB, and this one has 2.0" in refused(
        tmp_path
    )
