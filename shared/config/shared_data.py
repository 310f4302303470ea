"""Data assets that a route copies to the registry, beside what it promotes."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from shared.config.evaluation import AskedData
from shared.config.fields import Text


def _asked(text: str) -> str:
    plain = text.removeprefix("azureml:")
    named = plain if "@" in plain or ":" in plain else f"{plain}@latest"
    AskedData.read(named)
    return named


#: Each as NAME@latest or NAME:VERSION; a NAME alone is its latest version.
SharedData = tuple[Annotated[Text, AfterValidator(_asked)], ...]

SHARED_DATA: Any = Field(
    default=(),
    description="Data assets of `from` that are copied to the registry as well: NAME, NAME@latest or NAME:VERSION. Not "
    "from a workspace that a stage uses: its data stays there.",
)
