"""What the broker makes of outcomes as the SDKs of different languages send them."""

from contextlib import closing
from typing import Any

import pytest

from localcloud.servicebus.amqp_types import Described, ULong
from localcloud.servicebus.performatives import Disposition, Outcome
from localcloud.servicebus.settlement import settle
from localcloud.servicebus.store import Store
from tests.servicebus.test_queue import NOW, make_queue, send


@pytest.mark.parametrize("fields", [[], [None, None, None], [True, False, None]], ids=("left out", "empty", "said"))
def test_an_abandoned_delivery_counts_whether_or_not_the_sdk_says_that_it_failed(fields: list[Any]) -> None:
    """Python says so; .NET and JavaScript do not."""
    abandoned = Disposition(receiver=True, first=0, settled=True, state=Described(ULong(Outcome.MODIFIED), fields))
    with closing(Store.in_memory()) as store:
        queue = make_queue(store, max_delivery_count=2)
        send(queue)
        for _ in range(2):
            lock = queue.lock_next(NOW)
            assert lock is not None
            settle(queue, lock.token, abandoned, NOW)
        assert queue.lock_next(NOW) is None
        assert queue.dead_letters is not None
        assert queue.dead_letters.lock_next(NOW) is not None
