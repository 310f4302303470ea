import pytest
from rich.console import Console

from examples.demo.checks import BrokenPromiseError, Point, must, summary


def test_what_must_be_true_and_is_not_says_what_was_seen() -> None:
    must(True, "that prod answers", "nothing")

    with pytest.raises(BrokenPromiseError, match=r"Expected that prod answers\. Instead: nothing"):
        must(False, "that prod answers", "nothing")


def test_the_summary_tells_kept_broken_and_unreached_points_apart() -> None:
    points = [
        Point(1, "A", "one is kept", kept=True, seen="it was", seconds=2.5),
        Point(2, "B", "two is kept", kept=False, seen="it was not"),
        Point(3, "C", "three is kept"),
    ]
    console = Console(width=80, force_terminal=False)
    with console.capture() as capture:
        console.print(summary(points))
    rows = [line.split() for line in capture.get().splitlines() if "is kept" in line]

    assert rows == [
        ["✓", "1", "one", "is", "kept", "it", "was", "2.5", "s"],
        ["✗", "2", "two", "is", "kept", "it", "was", "not"],
        ["–", "3", "three", "is", "kept", "not", "reached"],
    ]
