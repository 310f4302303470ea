"""Data assets that a route copies to the registry, in addition to what it promotes."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from shared.config.evaluation import AskedData
from shared.config.fields import Text


def _asked(text: str) -> str:
    plain = text.removeprefix("azureml:")
    named = plain if "@" in plain or ":" in plain else f"{plain}@latest"
    AskedData.read(named)
    return named


#: Each as NAME@latest or NAME:VERSION. A NAME alone means its latest version.
SharedData = tuple[Annotated[Text, AfterValidator(_asked)], ...]

SHARED_DATA: Any = Field(
    default=(),
    description="Data assets of `from` to copy to the registry as well: NAME, NAME@latest or NAME:VERSION. Not "
    "allowed if a stage uses that workspace: its data stays there.",
)
