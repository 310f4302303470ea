import asyncio
from collections.abc import Awaitable, Callable

import pytest

from examples.demo.request_loop import KEPT_FAILURES, RequestLoop


class FailedError(Exception):
    pass


def one_after_the_other(*answers: str | Exception) -> Callable[[], Awaitable[str]]:
    """Gives these answers in order, then the last one for ever."""
    coming = iter(answers)

    async def ask() -> str:
        answer = next(coming, answers[-1])
        if isinstance(answer, Exception):
            raise answer
        return answer

    return ask


async def test_answers_are_counted_by_version_and_failures_are_kept_in_words() -> None:
    ask = one_after_the_other("1", "1", FailedError("503: no room"), "2")

    async with RequestLoop(ask, failing=FailedError) as loop:
        await loop.until_answered("2", 3, within_seconds=120)

    assert loop.answered["1"] == 2
    assert (loop.failed, loop.failures) == (1, ["503: no room"])
    assert list(loop.answered) == ["1", "2"]
    assert f"requests {loop.sent}, failures 1, version 1 answered 2" in loop.says()


async def test_the_request_under_way_at_the_end_is_still_counted() -> None:
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def ask() -> str:
        asked.set()
        await may_answer.wait()
        return "1"

    async with RequestLoop(ask, failing=FailedError) as loop:
        await asked.wait()
        asyncio.get_running_loop().call_later(0.05, may_answer.set)

    assert loop.sent == 1


async def test_only_the_first_failures_are_kept_and_all_are_counted_by_status() -> None:
    again = [FailedError("424: again")] * (2 * KEPT_FAILURES - 1)
    ask = one_after_the_other(*again, FailedError("503: no room"), "1")

    async with RequestLoop(ask, failing=FailedError, pause_seconds=0) as loop:
        await loop.until_answered("1", 1, within_seconds=120)

    assert loop.failed == 2 * KEPT_FAILURES
    assert len(loop.failures) == KEPT_FAILURES
    assert loop.failed_as == {"424": 2 * KEPT_FAILURES - 1, "503": 1}


async def test_a_bug_is_no_failed_request() -> None:
    ask = one_after_the_other(ZeroDivisionError())

    with pytest.raises(ZeroDivisionError):
        async with RequestLoop(ask, failing=FailedError) as loop:
            await loop.until_answered("1", 1, within_seconds=0.3)


async def test_a_version_that_never_answers_is_a_time_out_with_the_counts() -> None:
    async with RequestLoop(one_after_the_other("1"), failing=FailedError) as loop:
        with pytest.raises(TimeoutError, match=r"version 2 did not answer 1 requests: requests \d+, failures 0"):
            await loop.until_answered("2", 1, within_seconds=0.3)
