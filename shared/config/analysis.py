"""Analysis: what the live figures of a candidate must look like while it takes traffic. docs/live-figures.md explains
it."""

from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator

from shared.config.evaluation import AskedData, EvaluationSettings, InputName, refuse_gates_of_champion
from shared.config.fields import SETTING, Duration, FilePath, Margin, Settings, Text, no_truth_value
from shared.config.gate import Gate
from shared.config.limits import Limit, Unit
from shared.config.wording import OF_JOB, OF_METRIC

#: The figures that an analysis may look at, and the unit of each.
UNITS = {
    "error_rate": Unit.FRACTION,
    "latency_p50": Unit.MILLISECONDS,
    "latency_p95": Unit.MILLISECONDS,
    "latency_p99": Unit.MILLISECONDS,
    "cpu": Unit.PERCENT,
    "memory": Unit.PERCENT,
}
LiveMetric = Literal["error_rate", "latency_p50", "latency_p95", "latency_p99", "cpu", "memory"]

#: No replay is longer.
MOST_REPLAYED = 1000

_Written = Annotated[
    float | str,
    BeforeValidator(no_truth_value),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0},
                {"type": "string", "pattern": rf"^[0-9]+(\.[0-9]+)?(%|ms|s|m)?$|{SETTING}"},
            ]
        }
    ),
]


#: Placeholders in the name of a data asset: the data collector names its assets after them.
ENDPOINT, DEPLOYMENT, CHAMPION = "{endpoint}", "{deployment}", "{champion}"
PLACEHOLDERS = (ENDPOINT, DEPLOYMENT, CHAMPION)


def _data(text: str) -> str:
    example = text
    for each in PLACEHOLDERS:
        example = example.replace(each, "x")
    if set(example) & set("{}"):
        raise ValueError(f"may contain only the placeholders {', '.join(PLACEHOLDERS)}, not {text!r}")
    AskedData.read(example)
    return text


DataTemplate = Annotated[Text, AfterValidator(_data)]


class MetricAnalysis(Settings):
    """A bound on one live figure of the candidate."""

    metric: LiveMetric = Field(
        description="`error_rate`: the share of answers with a status of 5xx or 424. `latency_…`: the time that the "
        "model takes to answer. `cpu` and `memory`: per cent of the instances."
    )
    at_most: _Written | None = Field(
        default=None,
        description="The highest value that passes: 0.01 or 1% for `error_rate`, 500ms for a latency, 80% for `cpu` "
        "and `memory`.",
    )
    no_worse_than_champion_by: _Written | None = Field(
        default=None,
        description="How much higher than the champion's value in the same minutes it may be. 20%: by a fifth of the "
        "champion's. A number or a duration: by that much.",
    )

    @model_validator(mode="after")
    def _bounds_make_sense(self) -> Self:
        if self.at_most is None and self.no_worse_than_champion_by is None:
            raise ValueError("needs a bound: at_most or no_worse_than_champion_by")
        _ = self.limit, self.margin
        return self

    @property
    def unit(self) -> Unit:
        return UNITS[self.metric]

    @property
    def limit(self) -> float | None:
        """`at_most` in the figure's unit."""
        return None if self.at_most is None else Limit.absolute("at_most", self.at_most, self.unit)

    @property
    def margin(self) -> Limit | None:
        """`no_worse_than_champion_by`."""
        written = self.no_worse_than_champion_by
        return None if written is None else Limit.margin("no_worse_than_champion_by", written, self.unit)


class JobAnalysis(Settings):
    """A job that measures how the candidate behaved during a step, and the gates on its metrics."""

    job: FilePath = Field(
        description="Azure ML YAML of a command job with an input `model`, and `champion` if needed. It runs when the "
        "step's time is over."
    )
    inputs: dict[InputName, DataTemplate] = Field(
        default={},
        description="Data assets in the environment's workspace, by input: NAME@latest or NAME:VERSION. `{endpoint}`, "
        "`{deployment}` and `{champion}`, the champion's deployment, stand for names: collected answers are "
        "`{endpoint}-{deployment}-response@latest`.",
    )
    gates: tuple[Gate, ...] = Field(min_length=1, description="Gates that the job's metrics must pass.")

    @model_validator(mode="after")
    def _gates_are_of_the_candidate(self) -> Self:
        refuse_gates_of_champion(self.gates)
        return self

    @property
    def names_champion(self) -> bool:
        return any(CHAMPION in data for data in self.inputs.values())

    def evaluation(self, endpoint: str, deployment: str, champion: str) -> EvaluationSettings:
        """The job as an evaluation, with these names in place of the placeholders."""
        names = dict(zip(PLACEHOLDERS, (endpoint, deployment, champion), strict=True))
        inputs = dict(self.inputs)
        for placeholder, name in names.items():
            inputs = {each: data.replace(placeholder, name) for each, data in inputs.items()}
        return EvaluationSettings(job=self.job, inputs=inputs, gates=self.gates)


def _kind(entry: Any) -> str:
    names = entry if isinstance(entry, dict) else vars(entry) if isinstance(entry, Settings) else ()
    return OF_JOB if "job" in names else OF_METRIC


#: Which of the two is clear from its keys, so that a fault is reported for one of them alone.
Analysis = Annotated[
    Annotated[MetricAnalysis, Tag(OF_METRIC)] | Annotated[JobAnalysis, Tag(OF_JOB)], Discriminator(_kind)
]


class ReplaySettings(Settings):
    """How recorded requests are sent to the candidate, with `too_few: replay`."""

    requests: Annotated[int, Field(ge=1, le=MOST_REPLAYED)] = Field(
        default=200, description=f"How many of the last recorded requests to send: at most {MOST_REPLAYED}."
    )
    tolerance: Margin = Field(default=0.0, description="How far numbers of an answer may be from the recorded ones.")
    different_at_most: _Written | None = Field(
        default=None,
        description="The share of answers that may differ from the recorded ones: 0.02 or 2%. Default: differing "
        "answers are counted and not judged.",
    )

    @model_validator(mode="after")
    def _limit_is_a_share(self) -> Self:
        _ = self.limit
        return self

    @property
    def limit(self) -> float | None:
        """`different_at_most` as a fraction."""
        written = self.different_at_most
        return None if written is None else Limit.absolute("different_at_most", written, Unit.FRACTION)


class AnalysisSettings(Settings):
    """What is checked while a candidate takes traffic: the part of a rollout's settings that judges live figures."""

    analysis: tuple[Analysis, ...] = Field(
        default=(), description="What must hold of the live figures. A breach turns the stage back."
    )
    min_requests: Annotated[int, Field(ge=1)] = Field(
        default=100, description="How many requests the candidate must answer in a step before it is judged."
    )
    too_few: Literal["wait", "pass", "fail", "replay"] = Field(
        default="wait",
        description="What to do if a step's time is over and it got fewer requests: `wait` for more, `pass` without "
        "a verdict, `fail`, or `replay` requests that the champion's data collector recorded.",
    )
    wait_at_most: Duration = Field(
        default=timedelta(hours=2),
        description="How long to wait for figures after a step's time is over. After that, the step fails.",
        json_schema_extra={"default": "2h"},
    )
    metrics_delay: Duration = Field(
        default=timedelta(minutes=2),
        description="How old a minute's figures must be before they count: the last minutes are not complete yet.",
        json_schema_extra={"default": "2m"},
    )
    replay: ReplaySettings | None = Field(
        default=None, description="How requests are replayed. Default: the last 200, and differing answers are counted."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.replay is not None and self.too_few != "replay":
            raise ValueError("replay: applies only with too_few: replay; set that, or remove replay")
        if sum(isinstance(each, JobAnalysis) for each in self.analysis) > 1:
            raise ValueError("analysis: at most one entry may be a job; let one job log all metrics")
        return self

    @property
    def metrics(self) -> tuple[MetricAnalysis, ...]:
        return tuple(each for each in self.analysis if isinstance(each, MetricAnalysis))

    @property
    def job(self) -> JobAnalysis | None:
        return next((each for each in self.analysis if isinstance(each, JobAnalysis)), None)
