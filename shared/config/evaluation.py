"""Evaluation: a job in the stage's environment that measures the candidate and the champion on that environment's data.
docs/evaluate.md describes its inputs and the metrics that it must log.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from shared.config.fields import SETTING, FilePath, Settings, Text
from shared.config.gate import Gate

#: The inputs that the app binds itself.
MODEL = "model"
CHAMPION = "champion"
#: Prefix of the champion's metrics.
OF_CHAMPION = "champion."

_NAME = "[A-Za-z0-9][A-Za-z0-9_.-]{0,254}"
_DATA = rf"(?P<name>{_NAME})(@latest|:(?P<version>[A-Za-z0-9][A-Za-z0-9_.-]{{0,29}}))"
_DIGEST = "sha256:[0-9a-f]{64}"


@dataclass(frozen=True)
class AskedData:
    """A data asset that a stage names."""

    name: str
    version: str | None  #: None: the latest

    @classmethod
    def read(cls, text: str) -> Self:
        """Parse `NAME@latest` or `NAME:VERSION`. Raises ValueError."""
        found = re.fullmatch(_DATA, text.removeprefix("azureml:"))
        if not found:
            raise ValueError(f"must be a data asset, NAME@latest or NAME:VERSION, not {text!r}")
        return cls(found["name"], found["version"])


def _data(text: str) -> str:
    AskedData.read(text)
    return text.removeprefix("azureml:")


def _input(name: str) -> str:
    if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]{0,254}", name):
        raise ValueError("must be the name of an input: letters, digits and underscores")
    if name in (MODEL, CHAMPION):
        raise ValueError("is an input that the app binds itself; give the data to another input")
    return name


def _digest(text: str) -> str:
    if not re.fullmatch(_DIGEST, text):
        raise ValueError("must be the digest of a job: sha256: and 64 hex digits, as the evidence of validate shows it")
    return text


InputName = Annotated[str, AfterValidator(_input)]
Data = Annotated[Text, AfterValidator(_data)]
JobDigest = Annotated[
    Text, AfterValidator(_digest), WithJsonSchema({"type": "string", "pattern": f"^({_DIGEST})$|{SETTING}"})
]


def refuse_gates_of_champion(gates: Iterable[Gate]) -> None:
    """Raise ValueError for a gate on a metric of the champion: gates are on the candidate's."""
    for gate in gates:
        if gate.metric.startswith(OF_CHAMPION):
            raise ValueError(
                f"gate {gate.metric}: name the metric without {OF_CHAMPION!r}, and compare with "
                "no_worse_than_champion_by"
            )


class EvaluationSettings(Settings):
    """A job that runs in the stage's environment before people are asked, and the gates on its metrics."""

    job: FilePath = Field(description="Azure ML YAML of a command job with an input `model`, and `champion` if needed.")
    inputs: dict[InputName, Data] = Field(
        default={},
        description="Data assets in the environment's workspace, by input: NAME@latest or NAME:VERSION. The latest "
        "version is looked up once and recorded.",
    )
    gates: tuple[Gate, ...] = Field(
        min_length=1,
        description="Gates that this job's metrics must pass. The job logs the champion's `auc` as `champion.auc`.",
    )

    @model_validator(mode="after")
    def _gates_are_of_the_candidate(self) -> Self:
        refuse_gates_of_champion(self.gates)
        return self

    def asked(self) -> dict[str, AskedData]:
        """The data assets by input."""
        return {name: AskedData.read(data) for name, data in self.inputs.items()}


class EvaluationPolicy(Settings):
    """The evaluation that every model must pass before it is deployed in an environment."""

    job: JobDigest = Field(description="Digest of the job file and its code, as the evidence of validate shows it.")
    gates: tuple[Gate, ...] = Field(default=(), description="Gates that the job's metrics must pass here.")
    inputs: dict[InputName, Text] = Field(
        default={}, description="The data asset that each of these inputs must get, by name, in any version."
    )
