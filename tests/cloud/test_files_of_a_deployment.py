"""The local files that a deployment is made from are those that azure-ai-ml would upload, no fewer and no more."""

from pathlib import Path

import pytest

from shared.cloud.azureml import AzureMLWorkspace
from shared.ports import RejectedError
from tests.cloud.local_azure import LocalAzure, until

INLINE = """
environment:
  image: mcr.microsoft.com/base:1
  conda_file: env/conda.yml
code_configuration: {code: scoring, scoring_script: score.py}
instance_type: Standard_DS3_v2
instance_count: 2
"""
BUILT = """
environment: {name: own, build: {path: image, dockerfile_path: Dockerfile}}
code_configuration: {code: scoring, scoring_script: score.py}
instance_type: Standard_DS3_v2
scale_settings: {type: target_utilization, min_instances: 1, max_instances: 5}
"""


def made(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"# {name}\n")


def names(workspace: AzureMLWorkspace, folder: Path, content: str) -> set[str]:
    (folder / "other.yml").write_text(content)
    found = workspace.deployment_file(folder / "other.yml").files
    return {file.relative_to(folder.resolve()).as_posix() for file in found} - {"other.yml"}


def test_code_and_conda_file_are_among_them(test: AzureMLWorkspace, folder: Path) -> None:
    (folder / "env").mkdir()
    (folder / "env" / "conda.yml").write_text("dependencies: [python=3.11]\n")
    made(folder, "scoring/lib/numbers.py", "unrelated.py")
    assert names(test, folder, INLINE) == {"scoring/score.py", "scoring/lib/numbers.py", "env/conda.yml"}


def test_so_is_the_build_context_of_an_image(test: AzureMLWorkspace, folder: Path) -> None:
    made(folder, "image/Dockerfile", "image/requirements.txt")
    assert names(test, folder, BUILT) == {"scoring/score.py", "image/Dockerfile", "image/requirements.txt"}


def test_size_and_number_of_instances_are_reported(test: AzureMLWorkspace, folder: Path) -> None:
    made(folder, "image/Dockerfile")
    (folder / "env").mkdir()
    (folder / "env" / "conda.yml").write_text("dependencies: [python=3.11]\n")
    for content, instances in ((INLINE, 2), (BUILT, 5)):
        (folder / "other.yml").write_text(content)
        found = test.deployment_file(folder / "other.yml")
        assert (found.instance_type, found.instances) == ("Standard_DS3_v2", instances)


@pytest.mark.parametrize(
    ("ignores", "left"),
    [
        ({".gitignore": "*.log\nsecret/\n"}, {"score.py", "lib/a.py", ".gitignore"}),
        ({".amlignore": "lib/\n*.log\nsecret/*\n"}, {"score.py", ".amlignore"}),
        (
            {".gitignore": "*.py\n", ".amlignore": "*.log\nsecret/*"},
            {"score.py", "lib/a.py", ".gitignore", ".amlignore"},
        ),
    ],
)
def test_what_is_ignored_is_left_out_exactly_as_in_an_upload(
    azure: LocalAzure,
    test: AzureMLWorkspace,
    folder: Path,
    name: str,
    ignores: dict[str, str],
    left: set[str],
) -> None:
    made(folder, "scoring/lib/a.py", "scoring/run.log", "scoring/secret/key.txt")
    for ignoring, content in ignores.items():
        (folder / "scoring" / ignoring).write_text(content)
    file = folder / "deployment.yml"
    described = {each.relative_to(folder.resolve()).as_posix() for each in test.deployment_file(file).files}
    assert described == {"deployment.yml", *(f"scoring/{each}" for each in left)}
    (folder / "scoring" / "score.py").write_text(f"# only of {name}\n")
    endpoint = f"e{name}"
    test.start_endpoint(endpoint, {})
    until(lambda: (found := test.endpoint(endpoint)) and found.state == "Succeeded")
    test.start_deployment(file, endpoint, "v1-abc", "azureml:model:1", {})
    assert uploaded(azure, f"# only of {name}\n") == left


def uploaded(azure: LocalAzure, content: str) -> set[str]:
    """The files that lie beside the one with this content in the storage of the workspace."""
    [score] = [each for each in (azure.data / "blobs").rglob("score.py") if each.read_text() == content]
    return {each.relative_to(score.parent).as_posix() for each in score.parent.rglob("*") if each.is_file()}


@pytest.mark.parametrize("content", [INLINE, BUILT])
def test_what_the_sdk_misses_is_refused_with_the_deployment_files_name(
    test: AzureMLWorkspace, folder: Path, content: str
) -> None:
    (folder / "other.yml").write_text(content)
    with pytest.raises(RejectedError, match=r"other\.yml cannot be used"):
        test.deployment_file(folder / "other.yml")


def test_code_that_does_not_exist_is_named(test: AzureMLWorkspace, folder: Path) -> None:
    content = (folder / "deployment.yml").read_text().replace("code: scoring", "code: scorning")
    (folder / "other.yml").write_text(content)
    with pytest.raises(RejectedError, match=r"other\.yml names .*/scorning, which does not exist"):
        test.deployment_file(folder / "other.yml")
