"""The local files that azure-ai-ml would upload for a path in a YAML file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shared.cloud.azureml_sdk import importing
from shared.ports import RejectedError


def local_files(named_in: Path, place: Path) -> Iterator[Path]:
    """Return the file, or the files in the folder except those that `.amlignore` or `.gitignore` excludes."""
    # Uses the SDK's own private functions: any others might select other files, which changes the digest.
    with importing():
        from azure.ai.ml._utils._asset_utils import get_ignore_file, get_upload_files_from_folder

    if place.is_file():
        yield place
    elif place.is_dir():
        # Pairs of a path and its destination: the function's annotation is wrong.
        pairs: Any = get_upload_files_from_folder(place, ignore_file=get_ignore_file(place))
        yield from (Path(found) for found, _ in pairs)
    else:
        raise RejectedError(f"{named_in.name} names {place}, which does not exist.")


def content_hash(place: Path) -> str:
    """Return what azure-ai-ml records for a code asset that it creates from this place."""
    with importing():
        from azure.ai.ml._utils._asset_utils import get_content_hash, get_ignore_file

    return get_content_hash(place, get_ignore_file(place)) or ""


def is_remote(place: str) -> bool:
    """Return whether it names an asset of a workspace or a registry, or an address."""
    return place.startswith(("azureml:", "/subscriptions/")) or "://" in place
