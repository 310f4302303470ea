"""When a stage may deploy: days, hours and their time zone."""

import re
from functools import cache
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from shared.config.fields import SETTING, Settings, Text
from shared.config.wording import did_you_mean
from shared.core.window import DAYS, Window

_DAY = rf"({'|'.join(DAYS)})"
_DAYS = rf"{_DAY}(-{_DAY})?( *, *{_DAY}(-{_DAY})?)*"
_TIME = "([01]?[0-9]|2[0-3]):[0-5][0-9]|24:00"


def _days(value: Any) -> Any:
    """Parse `mon-thu`, `sat-mon` or `mon, wed`, or a list of these, into numbers in order."""
    if isinstance(value, tuple):
        return value
    parts = value if isinstance(value, list) else [value]
    if not parts or not all(isinstance(part, str) for part in parts):
        raise ValueError("must be days, such as mon-thu, sat-mon or mon, wed")
    return tuple(sorted({day for part in ",".join(parts).split(",") for day in _range(part.strip().lower())}))


def _range(text: str) -> list[int]:
    first, dash, last = (part.strip() for part in text.partition("-"))
    begins = _day(first)
    ends = _day(last) if dash else begins
    return [(begins + number) % len(DAYS) for number in range((ends - begins) % len(DAYS) + 1)]


def _day(text: str) -> int:
    if text not in DAYS:
        raise ValueError(f"unknown day {text!r}; {did_you_mean(text, DAYS)}" if text else "a day is missing")
    return DAYS.index(text)


def _days_in_text(days: tuple[int, ...]) -> str:
    return ", ".join(DAYS[day] for day in days)


def _minutes(value: Any) -> Any:
    """Parse a time of day into minutes after midnight. YAML reads an unquoted 16:00 as the number 960."""
    if not isinstance(value, str) or not re.fullmatch(_TIME, value):
        unquoted = isinstance(value, int) and not isinstance(value, bool)
        hint = "; put it in quotes" if unquoted else ""
        raise ValueError(f'must be a time from "00:00" to "24:00", not {value!r}{hint}')
    hours, minutes = value.split(":")
    return int(hours) * 60 + int(minutes)


def _time_in_text(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _zone(name: Any) -> Any:
    if not isinstance(name, str) or name not in _zones():
        hint = f"; {did_you_mean(name, _zones())}" if isinstance(name, str) and _is_close(name) else ""
        raise ValueError(f"must be a time zone of the IANA database, such as Europe/Berlin, not {name!r}{hint}")
    ZoneInfo(name)
    return name


def _is_close(name: str) -> bool:
    return did_you_mean(name, _zones()).startswith("did you mean")


Days = Annotated[
    tuple[int, ...],
    BeforeValidator(_days),
    PlainSerializer(_days_in_text, return_type=str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": f"^({_DAYS})$|{SETTING}"},
                {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": f"^({_DAYS})$|{SETTING}"}},
            ]
        }
    ),
]
TimeOfDay = Annotated[
    int,
    BeforeValidator(_minutes),
    PlainSerializer(_time_in_text, return_type=str),
    WithJsonSchema({"type": "string", "pattern": f"^({_TIME})$|{SETTING}"}),
]


class WindowSettings(Settings):
    """Hours at which the steps of a deployment may begin."""

    days: Days = Field(
        default=tuple(range(len(DAYS))),
        description="Days of the week, such as `mon-thu`, `sat-mon` or `mon, wed`. Default: every day.",
        json_schema_extra={"default": "mon-sun"},
    )
    begins: TimeOfDay = Field(alias="from", description='When it opens, such as `"09:00"`.')
    ends: TimeOfDay = Field(
        alias="to", description="When it closes. If that is not after `from`, on the day after: `22:00` to `04:00`."
    )
    zone: Annotated[Text, BeforeValidator(_zone)] = Field(
        description="Time zone of the IANA database, such as `Europe/Berlin`. Changes of its clocks count."
    )

    @model_validator(mode="after")
    def _has_a_length(self) -> "WindowSettings":
        if self.begins == self.ends:
            raise ValueError('`from` and `to` are the same; for the whole day, write from: "00:00", to: "24:00"')
        return self

    def window(self) -> Window:
        return Window(self.days, self.begins, self.ends, self.zone)


def _as_list(value: Any) -> Any:
    return (value,) if isinstance(value, dict) else value


def _one_or_list(schema: dict[str, Any]) -> None:
    listed = next(each for each in schema["anyOf"] if each.get("type") == "array")
    schema["anyOf"].insert(0, listed["items"])


#: One window, or a list of which any may be open; None: always.
Windows = Annotated[
    Annotated[tuple[WindowSettings, ...], Field(min_length=1)] | None,
    BeforeValidator(_as_list),
    Field(json_schema_extra=_one_or_list),
]


def windows(settings: tuple[WindowSettings, ...] | None) -> tuple[Window, ...]:
    """The windows as the core has them."""
    return tuple(each.window() for each in settings or ())
