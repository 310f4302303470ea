"""Where Microsoft's tests come from: the source package of the SDK, and its repository for the files that they read."""

import shutil
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

SDK = "azure-ai-ml"
URL = "https://github.com/Azure/azure-sdk-for-python"
CONFIGS = "sdk/ml/azure-ai-ml/tests/test_configs"
#: What their tests import beside the SDK and what this repository's own tests have.
PACKAGES = ("pytest-mock", "pydash", "mock")


def fetched(folder: Path, configs: Path | None) -> Path:
    """The folder of the unpacked source package, with the files of its tests; what is there already stays."""
    release = version(SDK)
    suite = folder / f"azure_ai_ml-{release}"
    if not suite.exists():
        _pip("download", "--no-binary", ":all:", "--no-deps", "--no-build-isolation", f"{SDK}=={release}", at=folder)
        with tarfile.open(folder / f"{suite.name}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
    if not (folder / "packages").exists():
        _pip("install", "--target", "packages", *PACKAGES, at=folder)
    _add(configs or _cloned(folder, release), suite / "tests" / "test_configs")
    return suite


def _pip(*arguments: str, at: Path) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--quiet", *arguments], cwd=at, check=True)


def _cloned(folder: Path, release: str) -> Path:
    """Only this folder of the repository, as it was at the release."""
    clone = folder / "repository"
    if not clone.exists():
        options = ["--depth", "1", "--filter=blob:none", "--sparse", "--branch", f"{SDK}_{release}"]
        subprocess.run(["git", "clone", *options, URL, str(clone)], check=True)
        subprocess.run(["git", "sparse-checkout", "set", CONFIGS], cwd=clone, check=True)
    return clone / CONFIGS


def _add(source: Path, target: Path) -> None:
    """Copies the files that the package leaves out."""
    for file in source.rglob("*"):
        place = target / file.relative_to(source)
        if file.is_file() and not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
