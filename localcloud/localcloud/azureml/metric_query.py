"""What a query of metrics asks for: names, time, grain, aggregations and the filter by dimensions."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from localcloud.azureml.metric_definitions import METRICS, Metric
from localcloud.azureml.wire import AzureError

#: Minutes of the grains that Azure has.
_GRAINS = {"PT1M": 1, "PT5M": 5, "PT15M": 15, "PT30M": 30, "PT1H": 60, "PT6H": 360, "PT12H": 720, "P1D": 1440}
_GRAINS_IN_WORDS = "00:01:00,00:05:00,00:15:00,00:30:00,01:00:00,06:00:00,12:00:00,1.00:00:00"
AGGREGATIONS = ("average", "minimum", "maximum", "total", "count")
_POINTS = 44_640  # a month of minutes
_TOKEN = re.compile(r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<mark>[()])|(?P<word>[^\s()']+))")
#: Any value of a dimension, each in a series of its own.
ANY = "*"


class MetricsError(AzureError):
    """A 400 of Azure Monitor, whose errors are not wrapped into an `error` as others of Resource Manager are."""

    def __init__(self, message: str) -> None:
        super().__init__(400, "BadRequest", message)

    def response(self) -> web.Response:
        return web.json_response({"code": self.code, "message": self.message}, status=self.status)


@dataclass(frozen=True)
class MetricQuery:
    """A query, checked."""

    namespace: str
    metrics: tuple[Metric, ...]
    start: datetime
    end: datetime
    grain: str
    #: Minutes of a point; None: one point for the whole time.
    minutes: int | None
    aggregations: tuple[str, ...]
    #: Values or `ANY` by dimension in lower case.
    filter: Mapping[str, frozenset[str]]
    #: The most series that a metric has in the answer.
    top: int


def metric_query(namespace: str, given: Mapping[str, str], minute_seconds: float) -> MetricQuery:
    """The query in the parameters of a request; `MetricsError` in Azure's words for one that Azure refuses."""
    named = given.get("metricnamespace") or namespace
    if named.lower() != namespace.lower():
        raise MetricsError(
            f"Detect invalid value: {named} for query parameter: 'metricnamespace', the value must be: {namespace} if"
            " the query parameter is provided, you can also skip this optional query parameter."
        )
    metrics = _metrics(namespace, given.get("metricnames", ""))
    wanted = _filter(given.get("$filter", ""))
    for metric in metrics:
        _refuse_other_dimensions(metric, wanted)
    timespan, grain = given.get("timespan", "PT1H"), given.get("interval") or "PT1M"
    if grain.upper() not in (*_GRAINS, "FULL"):
        raise MetricsError(f"Invalid time grain duration: {grain}, supported ones are: {_GRAINS_IN_WORDS}")
    minutes = _GRAINS.get(grain.upper())
    start, end = _timespan(timespan)
    if (end - start).total_seconds() / (minute_seconds * (minutes or 1)) > _POINTS:
        raise MetricsError(f"The time span {timespan} has more than {_POINTS} points at the interval {grain}.")
    aggregations = _aggregations(given.get("aggregation") or "Average")
    return MetricQuery(namespace, metrics, start, end, grain.upper(), minutes, aggregations, wanted, _top(given))


def _metrics(namespace: str, names: str) -> tuple[Metric, ...]:
    known = METRICS[namespace]
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if not wanted:
        return (next(iter(known.values())),)
    for name in wanted:
        if name.lower() not in known:
            provider, _, resource_type = namespace.partition("/")
            raise MetricsError(
                f"Failed to find metric configuration for provider: {provider}, resource Type: {resource_type}, metric:"
                f" {name}, Valid metrics: {','.join(metric.name for metric in known.values())}"
            )
    return tuple(known[name.lower()] for name in wanted)


def _refuse_other_dimensions(metric: Metric, wanted: Mapping[str, frozenset[str]]) -> None:
    known = [dimension.lower() for dimension in metric.dimensions]
    if any(dimension not in known for dimension in wanted):
        raise MetricsError(
            f"Metric: {metric.name} does not support requested dimension combination: {','.join(wanted)}, supported"
            f" ones are: {','.join(metric.dimensions)}"
        )


def _aggregations(names: str) -> tuple[str, ...]:
    wanted = tuple(name.strip().lower() for name in names.split(",") if name.strip())
    for name in wanted:
        if name not in AGGREGATIONS:
            known = ",".join(each.title() for each in AGGREGATIONS)
            raise MetricsError(f"Invalid aggregation type: {name}, supported ones are: {known}")
    return wanted


def _top(given: Mapping[str, str]) -> int:
    """Counts with a filter only, as on Azure, where it is 10 unless the query says otherwise."""
    written = given.get("top") or "10"
    if not written.isdecimal() or int(written) < 1:
        raise MetricsError(f"Invalid value for top: {written}, it must be a whole number from 1")
    return int(written)


def _timespan(written: str) -> tuple[datetime, datetime]:
    """`FROM/TO`, or a duration until now, in ISO 8601; a `+` that a URL turned into a space is a fault, as on Azure."""
    start, slash, end = written.partition("/")
    try:
        if not slash:
            now = datetime.now(UTC)
            return now - TypeAdapter(timedelta).validate_python(written), now
        first, last = (datetime.fromisoformat(each) for each in (start, end))
    except (ValueError, ValidationError, OverflowError) as error:
        raise MetricsError(f"Detected invalid time interval input: {written}") from error
    first, last = (each.replace(tzinfo=each.tzinfo or UTC).astimezone(UTC) for each in (first, last))
    if last <= first:
        raise MetricsError(f"Detected invalid time interval input: {written}, its end is not after its start")
    return first, last


def _filter(written: str) -> dict[str, frozenset[str]]:
    """`a eq 'x' and (b eq 'y' or b eq 'z') and c eq '*'`: `or` stands between values of one dimension only."""
    wanted: dict[str, frozenset[str]] = {}
    last = ""
    words = _tokens(written)
    joined_by = "and"
    while words:
        if len(words) < 3 or words[1].lower() != "eq" or not words[2].startswith("'"):
            raise _invalid(written)
        dimension, value = words[0].lower(), words[2][1:-1].replace("''", "'")
        if dimension != last if joined_by == "or" else dimension in wanted:
            raise _invalid(written)
        wanted[dimension] = wanted.get(dimension, frozenset()) | {value.lower()}
        last, rest = dimension, words[3:]
        if rest and (rest[0].lower() not in ("and", "or") or len(rest) == 1):
            raise _invalid(written)
        joined_by, words = (rest[0].lower() if rest else ""), rest[1:]
    return wanted


def _tokens(written: str) -> list[str]:
    """The words and texts; parentheses group values of one dimension, which is what `or` does without them."""
    found, place = [], 0
    text = written.rstrip()
    while place < len(text):
        token = _TOKEN.match(text, place)
        if not token:
            raise _invalid(written)
        if not token["mark"]:
            found.append(token["text"] or token["word"])
        place = token.end()
    return found


def _invalid(written: str) -> MetricsError:
    return MetricsError(f"Invalid filter: {written}. It must be of the form: dimension eq 'value' and other eq '*'.")
