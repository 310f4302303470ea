"""The local files that azure-ai-ml would upload for what a YAML file names."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shared.ports import RejectedError


def local_files(named_in: Path, place: Path) -> Iterator[Path]:
    """The file, or the files of the folder that azure-ai-ml uploads: all but what `.amlignore` or `.gitignore` says."""
    # By the SDK's own functions, though it does not publish them: others would have a digest of other files.
    from azure.ai.ml._utils._asset_utils import get_ignore_file, get_upload_files_from_folder

    if place.is_file():
        yield place
    elif place.is_dir():
        # Pairs of a path and where it goes to: the function's annotation is wrong.
        pairs: Any = get_upload_files_from_folder(place, ignore_file=get_ignore_file(place))
        yield from (Path(found) for found, _ in pairs)
    else:
        raise RejectedError(f"{named_in.name} names {place}, which does not exist.")


def content_hash(place: Path) -> str:
    """What azure-ai-ml notes of a code asset that it makes of this place."""
    from azure.ai.ml._utils._asset_utils import get_content_hash, get_ignore_file

    return get_content_hash(place, get_ignore_file(place)) or ""


def is_remote(place: str) -> bool:
    """Whether it names an asset of a workspace or a registry, or an address."""
    return place.startswith(("azureml:", "/subscriptions/")) or "://" in place
