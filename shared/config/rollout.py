"""How a stage moves its traffic to a new deployment: in steps that are watched, and with a way back for some time."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from shared.config import durations
from shared.config.analysis import AnalysisSettings
from shared.config.fields import SETTING, Duration, Settings, no_truth_value
from shared.core.plan import entry_name

#: The most that Azure ML mirrors, in per cent.
MOST_MIRRORED = 50
#: How long an endpoint may take to move its traffic, with retries. Comes on top of the time of each step.
TO_MOVE = timedelta(minutes=30)
MOST_STEPS = 20


def _share(highest: int) -> Any:
    schema = {"anyOf": [{"type": "integer", "minimum": 1, "maximum": highest}, {"type": "string", "pattern": SETTING}]}
    return Annotated[int, BeforeValidator(no_truth_value), WithJsonSchema(schema)]


def removed_after(keep: timedelta | None) -> dict[str, timedelta]:
    """How long after a stage's end the step runs that removes what it replaced."""
    return {"retire": keep} if keep is not None else {}


class RolloutStep(Settings):
    """One step of a rollout: what the new deployment gets, and for how long."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["mirror"]}, {"required": ["traffic"]}]})

    mirror: _share(MOST_MIRRORED) | None = Field(  # type: ignore[valid-type]  # the bounds are in the schema
        default=None,
        description="Per cent of the requests that are copied to the new deployment. Callers do not see its answers. "
        f"At most {MOST_MIRRORED}.",
    )
    traffic: _share(99) | None = Field(  # type: ignore[valid-type]
        default=None, description="Per cent of the live traffic that the new deployment answers. More in each step."
    )
    lasts: Duration = Field(alias="for", description="How long the step lasts before it is judged for the last time.")

    @property
    def of_live(self) -> int:
        """Per cent of the live traffic."""
        share: int | None = self.traffic
        return share or 0

    @property
    def of_copies(self) -> int:
        """Per cent of the requests that are copied."""
        share: int | None = self.mirror
        return share or 0

    @model_validator(mode="after")
    def _azure_allows_it(self) -> Self:
        if (self.mirror is None) == (self.traffic is None):
            raise ValueError(
                "needs either mirror or traffic: Azure ML never mirrors requests to a deployment with live traffic"
            )
        if self.mirror is not None and not 1 <= self.mirror <= MOST_MIRRORED:
            raise ValueError(f"mirror must be 1 to {MOST_MIRRORED}: Azure ML copies at most half of the requests")
        if self.traffic is not None and not 1 <= self.traffic <= 99:
            raise ValueError("traffic must be 1 to 99; leave out 100, which follows the last step by itself")
        return self


class Rollout(AnalysisSettings):
    """How the traffic moves to a new deployment, and what must hold meanwhile. After the last step, it gets
    everything."""

    steps: tuple[RolloutStep, ...] = Field(
        default=(), max_length=MOST_STEPS, description="The steps in order: first those that mirror, then live traffic."
    )
    watch: Duration | None = Field(
        default=None,
        description="How long the new deployment is watched once it has all traffic. If that fails, the stage is "
        "rolled back and held. Default: not watched.",
    )
    keep: Duration | None = Field(
        default=None,
        description="How long the replaced deployment stays without traffic, so that a rollback takes seconds. At "
        "least as long as `watch`. Default: it is removed at once, after `watch`.",
    )

    @model_validator(mode="after")
    def _steps_follow_each_other(self) -> Self:
        last = 0
        for number, step in enumerate(self.steps, 1):
            if step.mirror is not None and last:
                raise ValueError(
                    f"step {number} mirrors requests after a step with live traffic, which Azure ML refuses: move the "
                    "steps with mirror to the front"
                )
            if step.traffic is not None and step.traffic <= last:
                raise ValueError(
                    f"step {number} has {step.traffic} % of the traffic, and the step before it {last} %: give each "
                    "step more than the one before"
                )
            last = step.of_live
        return self

    @model_validator(mode="after")
    def _it_is_kept_while_it_is_watched(self) -> Self:
        if self.watch is not None and (self.keep is None or self.keep < self.watch):
            raise ValueError(
                f"keep must be at least as long as watch, {durations.text(self.watch)}: a failure while it is watched "
                "returns the traffic to the deployment that is kept"
            )
        if not (self.steps or self.watch or self.keep):
            raise ValueError("needs steps, watch or keep")
        return self

    def asks_for(self) -> Iterator[str]:
        """The names of the steps of the plan that this needs."""
        asked: Mapping[str, object] = {"watch": self.watch, "keep": self.keep}
        yield from (name for name, value in asked.items() if value is not None)

    def times(self) -> dict[str, int]:
        """How often each step that repeats is in the plan."""
        return {"rollout": len(self.steps)}

    def delays(self) -> dict[str, timedelta]:
        """How long after the stage's end steps of the plan run."""
        return removed_after(self.keep)

    def limits(self) -> dict[str, timedelta]:
        """The time limits of the steps that this adds to the plan."""
        found = {entry_name("rollout", n): self._at_most(each.lasts) for n, each in enumerate(self.steps, 1)}
        return found | ({"watch": self._at_most(self.watch)} if self.watch is not None else {})

    def _at_most(self, lasts: timedelta) -> timedelta:
        return lasts + self.metrics_delay + self.wait_at_most + TO_MOVE


def faults(stage: Mapping[str, Any]) -> Iterator[tuple[Sequence[str], str]]:
    """Yield settings of a stage's rollout that would do nothing, each with its keys. `stage`: as it is written."""
    rollout = stage.get("rollout")
    if not isinstance(rollout, dict):
        return
    if rollout.get("analysis") and not (rollout.get("steps") or rollout.get("watch")):
        says = "nothing is looked at without `steps` or `watch`; add one of them, or remove this"
        yield ("rollout", "analysis"), says
    for name in ("too_few", "min_requests"):
        if name in rollout and not rollout.get("analysis"):
            yield ("rollout", name), "applies only with `analysis`; add that, or remove this"
