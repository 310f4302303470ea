"""The settings of an analysis: limits in the figure's own unit, and faults that say what to write."""

from typing import Any

import pytest
from pydantic import ValidationError

from shared.config.analysis import AnalysisSettings, MetricAnalysis


def read(*entries: Any, **more: Any) -> AnalysisSettings:
    return AnalysisSettings.model_validate({"analysis": list(entries), **more})


@pytest.mark.parametrize(
    ("metric", "at_most", "limit"),
    [
        ("error_rate", 0.01, 0.01),
        ("error_rate", "1%", 0.01),
        ("error_rate", "0.01", 0.01),  # as a setting of the app comes
        ("error_rate", 0, 0.0),
        ("latency_p95", "500ms", 500.0),
        ("latency_p50", "2s", 2000.0),
        ("cpu", 80, 80.0),
        ("memory", "80%", 80.0),
    ],
)
def test_a_limit_is_read_in_the_unit_of_its_figure(metric: str, at_most: Any, limit: float) -> None:
    (entry,) = read({"metric": metric, "at_most": at_most}).metrics
    assert entry.limit == pytest.approx(limit)


@pytest.mark.parametrize(
    ("metric", "margin", "highest"),
    [
        ("latency_p95", "20%", 120.0),
        ("latency_p95", "30ms", 130.0),
        ("error_rate", 0.01, 100.01),
        ("cpu", 10, 110.0),
        ("cpu", "10%", 110.0),
        ("cpu", 0, 100.0),
    ],
)
def test_a_margin_is_a_part_of_the_champions_figure_or_added_to_it(metric: str, margin: Any, highest: float) -> None:
    (entry,) = read({"metric": metric, "no_worse_than_champion_by": margin}).metrics
    assert entry.margin is not None
    assert entry.margin.above(100.0) == pytest.approx(highest)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"metric": "error_rate"}, "needs a bound"),
        ({"metric": "error_rate", "at_most": 1.5}, "must be a share from 0 to 1"),
        ({"metric": "error_rate", "at_most": -0.1}, "must be like 0.01 or 1%"),
        ({"metric": "error_rate", "at_most": True}, "not true or false"),
        ({"metric": "error_rate", "at_most": "nan"}, "must be like 0.01 or 1%"),
        ({"metric": "latency_p95", "at_most": 500}, "must be like 500ms"),
        ({"metric": "latency_p95", "no_worse_than_champion_by": 0.2}, "must be like 500ms"),
        ({"metric": "latency", "at_most": "1s"}, "Input should be 'error_rate'"),
        ({"job": "jobs/compare.yml"}, "Field required"),
        ({"job": "jobs/compare.yml", "gates": [{"metric": "champion.auc", "at_least": 0}]}, "without 'champion.'"),
        ({"job": "jobs/compare.yml", "gates": []}, "at least 1 item"),
    ],
)
def test_a_fault_is_of_one_entry_and_says_what_to_write(entry: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as fault:
        read(entry)
    (told,) = fault.value.errors()
    assert says in told["msg"]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"replay": {"requests": 5}}, "applies only with too_few: replay"),
        ({"too_few": "replay", "replay": {"requests": 5000}}, "less than or equal to 1000"),
        ({"too_few": "replay", "replay": {"different_at_most": "2"}}, "must be a share from 0 to 1"),
        ({"min_requests": 0}, "greater than or equal to 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        read({"metric": "error_rate", "at_most": 0.01}, **settings)


def test_one_entry_at_most_is_a_job() -> None:
    job = {"job": "jobs/compare.yml", "gates": [{"metric": "disagreement", "at_most": 0.02}]}
    found = read({"metric": "error_rate", "at_most": 0.01}, job)
    assert found.job is not None
    assert [type(each) for each in found.metrics] == [MetricAnalysis]
    with pytest.raises(ValidationError, match="at most one entry may be a job"):
        read(job, job)


def test_settings_travel_with_a_promotion_unchanged() -> None:
    job = {"job": "jobs/compare.yml", "gates": [{"metric": "disagreement", "at_most": 0.02}]}
    found = read({"metric": "latency_p95", "no_worse_than_champion_by": "20%"}, job, too_few="replay")
    assert AnalysisSettings.model_validate(found.model_dump(mode="json", by_alias=True, exclude_none=True)) == found
