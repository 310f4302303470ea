"""One number looks the same wherever it is shown."""

import pytest

from mlpromote.figures import figure


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.95, "0.95"),
        (0.0, "0"),
        (-2.349629, "-2.34963"),
        (11909.9219, "11909.9"),
        (2900.0, "2900"),
        (123456789.0, "123456789"),
        (1234567.89, "1234568"),
        (0.00000123, "1.23e-06"),
        (1e20, "1e+20"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
    ],
)
def test_a_number_has_six_digits_and_no_power_of_ten_unless_it_needs_one(value: float, words: str) -> None:
    assert figure(value) == words
