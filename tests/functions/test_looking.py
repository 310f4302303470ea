"""`GET /promotions`: filters, pages, and invalid queries."""

import pytest

from tests.functions.conftest import Api


def listed(api: Api, query: str = "") -> list[str]:
    return [each["version"] for each in api.get(f"promotions?{query}").body["value"]]


def test_the_newest_comes_first_and_pages_lead_through_all(api: Api) -> None:
    for version in ("1", "2", "3"):
        api.start(version)
    assert listed(api) == ["3", "2", "1"]
    first = api.get("promotions?top=2&route=churn&code=a-key").body
    assert [each["version"] for each in first["value"]] == ["3", "2"]
    assert "code" not in first["next_link"]
    assert "route=churn" in first["next_link"]
    assert listed(api, first["next_link"].partition("?")[2]) == ["1"]


def test_filters_narrow_the_list(api: Api) -> None:
    api.start("1", through="test")
    api.run()
    api.start("2")
    api.post("promotions", {"model": "fraud", "version": "3", "reason": "x"})
    assert listed(api, "status=running") == ["3", "2"]
    assert listed(api, "status=succeeded") == ["1"]
    assert listed(api, "route=fraud") == ["3"]
    assert listed(api, "model=churn-eu") == ["2", "1"]
    assert listed(api, "environment=prod") == ["3", "2"]
    assert listed(api, "route=fraud&status=succeeded") == []


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("top=0", "top must be a whole number from 1 to 200, not '0'"),
        ("top=" + "9" * 5000, "top"),
        ("stauts=running", "unknown parameter stauts"),
        ("status=done", "unknown status 'done'; known are queued, running"),
        ("environment=nowhere", "unknown environment 'nowhere'; known are dev, test, prod"),
        ("route=unheard", "unknown route 'unheard'; known are churn, fraud"),
        ("continuation=nonsense", "unknown continuation token"),
    ],
)
def test_an_invalid_query_is_refused_in_words(query: str, says: str, api: Api) -> None:
    answer = api.get(f"promotions?{query}")
    assert answer.status == 400
    assert says in answer.body["detail"]


def test_a_promotion_that_does_not_exist(api: Api) -> None:
    answer = api.get("promotions/nobody")
    assert (answer.status, answer.body["detail"]) == (404, "There is no promotion nobody.")
    assert answer.body["see"] == "/api/promotions"


def test_promotions_are_found_by_names_that_were_configured_once(api: Api) -> None:
    api.start("1")
    left = {"fraud": api.app.configuration.routes["fraud"]}
    vars(api.app)["configuration"] = api.app.configuration.model_copy(update={"routes": left})
    assert listed(api, "route=churn") == ["1"]
    assert api.get("promotions?route=unheard").status == 400
