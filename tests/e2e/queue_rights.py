"""What each app may do with the queues if every environment has an app of its own: the same rights as in infra/, which
its tests compare. A key represents each identity here, since the SDK accepts no identity for an emulator's address."""

from collections.abc import Mapping, Sequence

NAMES = ("dev", "test", "prod")
QUEUES = (
    "promotion-events",
    *(f"steps-{name}" for name in NAMES),
    *(f"reports-{name}" for name in NAMES),
)

#: By the app's name: the queues that it may listen to, and those that it may send to.
SHARED_ACCESS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "coordinator": {"listen": QUEUES, "send": QUEUES},
    **{f"worker-{name}": {"listen": (f"steps-{name}",), "send": (f"reports-{name}",)} for name in NAMES},
}
