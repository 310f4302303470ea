"""The arithmetic of comparisons and targets."""

import pytest

from benchmarks.figures import Comparison, Target


def comparison(ours: list[float], other: list[float], target: Target | None = None) -> Comparison:
    return Comparison("it", ours, other, "ours", "theirs", "s", target)


def test_the_ratio_is_the_median_of_the_rounds_so_that_one_disturbed_round_does_not_count() -> None:
    assert comparison([2.0, 3.0, 400.0], [1.0, 1.0, 1.0]).ratio == 3.0


def test_each_round_is_compared_with_the_same_round_of_the_other_side() -> None:
    """A machine that became four times slower hits both sides, and the ratio stays."""
    assert comparison([1.0, 4.0], [2.0, 8.0]).ratio == 0.5


@pytest.mark.parametrize(
    ("target", "ratio", "met"),
    [
        (Target(0.7, at_least=True), 0.7, True),
        (Target(0.7, at_least=True), 0.69, False),
        (Target(1.5, at_least=False), 1.5, True),
        (Target(1.5, at_least=False), 1.51, False),
    ],
)
def test_a_target_is_met_up_to_its_bound(target: Target, ratio: float, met: bool) -> None:
    assert comparison([ratio], [1.0], target).is_met is met


def test_a_comparison_for_information_has_nothing_to_meet() -> None:
    assert comparison([1.0], [2.0]).is_met is None


@pytest.mark.parametrize(("ours", "other"), [([], []), ([1.0], [1.0, 2.0])])
def test_a_comparison_needs_both_sides_in_every_round(ours: list[float], other: list[float]) -> None:
    with pytest.raises(ValueError, match="rounds"):
        comparison(ours, other)


def test_bounds_and_ratios_are_shown_in_the_same_form() -> None:
    assert (str(Target(0.7, at_least=True)), Target(0.7, at_least=True).shown(0.824)) == ("≥ 0.7", "0.82")
    per_cent = Target(0.01, at_least=False, per_cent=True)
    assert (str(per_cent), per_cent.shown(0.0094)) == ("≤ 1 %", "0.94 %")
