"""Approving and rejecting over HTTP: who may, what it is bound to, and what is shown."""

from tests.functions.conftest import ALICE, BOB, CAROL, Api


def waiting(api: Api, version: str = "1") -> str:
    """A promotion that waits for approval before prod."""
    promotion = api.start(version, ALICE)
    api.run()
    return promotion


def test_a_promotion_goes_on_at_the_second_different_person(api: Api) -> None:
    promotion = waiting(api)
    first = api.post(f"promotions/{promotion}/approve", {"reason": "looks fine"}, BOB)
    assert (first.status, first.body["done"]) == (202, "approved by bob: looks fine (1 of 2)")
    again = api.post(f"promotions/{promotion}/approve", {"reason": "still"}, BOB)
    assert (again.status, again.body["done"]) == (202, "nothing: it was done before")
    assert api.bus.commands == []
    assert api.post(f"promotions/{promotion}/approve", {"reason": "ok"}, CAROL).status == 202
    api.run()
    assert api.get(f"promotions/{promotion}").body["status"] == "succeeded"
