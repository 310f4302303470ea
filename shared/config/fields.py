"""The types of settings, each with its rule and its JSON Schema."""

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.types import StringConstraints

from shared.config import azure_names, durations, patterns

#: A value with a `${SETTING}`: editors see the file before settings are replaced.
SETTING = r"\$\{[^}]+\}"


class Settings(BaseModel):
    """Base of all settings: immutable, and refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Frozen(Settings):
    """Settings that a promotion copies when it starts, and that each command carries to its worker."""

    def frozen(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    @classmethod
    def parse(cls, frozen: Mapping[str, Any]) -> Self:
        """Read the output of `frozen()`. Raises ValueError for anything else, also for keys of a newer version:
        skipping an unknown check would be worse than stopping."""
        parsed: Self = _parsed(cls, json.dumps(frozen))
        return parsed


@lru_cache(maxsize=200)  # all commands of a stage carry the same settings
def _parsed(kind: type[Frozen], frozen: str) -> Any:
    return kind.model_validate(json.loads(frozen))


def no_truth_value(value: Any) -> Any:
    """Refuse true and false for a number."""
    # Python treats true as 1, but a user who writes `at_least: true` means something else.
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


def _pattern(expression: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^({expression})$|{SETTING}"})


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]

_NUMBER_SCHEMA: dict[str, Any] = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": SETTING}]}
Number = Annotated[float, BeforeValidator(no_truth_value), Field(allow_inf_nan=False), WithJsonSchema(_NUMBER_SCHEMA)]
#: A number that is 0 or more.
Margin = Annotated[
    float,
    BeforeValidator(no_truth_value),
    Field(allow_inf_nan=False, ge=0),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": SETTING}]}),
]

Duration = Annotated[
    timedelta,
    BeforeValidator(lambda value: value if isinstance(value, timedelta) else durations.parse(value)),
    PlainSerializer(durations.text, return_type=str),
    _pattern(durations.PATTERN),
]


GUID = "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"


def _client_id(text: str) -> str:
    if text.startswith("/"):
        raise ValueError("must be the identity's client id, not its ARM id")
    if not re.fullmatch(GUID, text):
        raise ValueError(f"must be the identity's client id, a GUID, not the text {text!r}")
    return text


ClientId = Annotated[Text, AfterValidator(_client_id), _pattern(GUID)]


def _group(text: str) -> str:
    if not re.fullmatch(GUID, text):
        raise ValueError(f"must be the group's object id in Entra ID, a GUID, not the text {text!r}")
    return text.lower()


#: An Entra ID group.
GroupId = Annotated[Text, AfterValidator(_group), _pattern(GUID)]


def _relative(path: str) -> str:
    if path.startswith(("/", "\\", "~")) or path[1:2] == ":":
        raise ValueError("must be relative to the configuration's folder")
    return path


#: A file next to the configuration. The step that reads it finds out whether it exists.
FilePath = Annotated[Text, AfterValidator(_relative)]

EnvironmentName = Annotated[
    Text, AfterValidator(azure_names.ENVIRONMENT.check), _pattern(azure_names.ENVIRONMENT.pattern)
]
Currency = Annotated[str, StringConstraints(pattern="^([A-Z]{3})?$")]
Label = Annotated[Text, AfterValidator(azure_names.LABEL.check), _pattern(azure_names.LABEL.pattern)]
EndpointTemplate = Annotated[Text, AfterValidator(azure_names.check_endpoint)]
ModelName = Annotated[Text, AfterValidator(azure_names.MODEL_NAME.check), _pattern(azure_names.MODEL_NAME.pattern)]
ModelPattern = Annotated[Text, AfterValidator(patterns.check)]
RegistryName = Annotated[Text, AfterValidator(azure_names.WORKSPACE.check), _pattern(azure_names.WORKSPACE.pattern)]
