"""What the benchmarks read from the log of the Functions host."""

from benchmarks.function_log import Use, difference, uses

LINES = [
    "2026-11-20 23:48:41 DEBUG   host.invocation: Executed 'advance' (Succeeded, Id=3f-1, Duration=12.5ms)",
    "2026-11-20 23:48:41 INFO    work_test [3f-2]: digits-1 test.deploy: Running",
    "2026-11-20 23:48:42 DEBUG   host.invocation: Executed 'work_test' (Failed, Id=3f-2, Duration=1000.0ms)",
    "2026-11-20 23:48:43 DEBUG   host.invocation: Executed 'advance' (Succeeded, Id=3f-3, Duration=7.5ms)",
]


def test_invocations_are_added_up_by_function_whether_they_succeeded_or_not() -> None:
    assert uses(LINES) == {"advance": Use(2, 0.02), "work_test": Use(1, 1.0)}


def test_the_difference_leaves_out_functions_that_were_not_used_since() -> None:
    before = {"advance": Use(1, 0.5), "work_test": Use(1, 1.0)}
    after = {"advance": Use(3, 2.0), "work_test": Use(1, 1.0), "intake": Use(1, 0.25)}
    assert difference(after, before) == {"advance": Use(2, 1.5), "intake": Use(1, 0.25)}
