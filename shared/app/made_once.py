"""Parts that are made when they are first needed, and then kept."""

from functools import cached_property
from typing import Any, TypeVar

T = TypeVar("T")


class made_once(cached_property[T]):  # noqa: N801  # used as a decorator
    """A cached property that only one thread computes, since each value may be a connection. Its class has the lock
    `making`."""

    def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
        if instance is None:
            return self
        with instance.making:
            return super().__get__(instance, owner)
