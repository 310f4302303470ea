"""Pipelines that a source publishes have its name before theirs."""

import pytest

from tests.functions.conftest import ALICE, Api
from tests.functions.publishing.test_publishing import published
from tests.functions.publishing.test_retrying_definitions import ONE, files


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("training", "the model does not fit: training is taken by no route; did you mean churn-team/training?"),
        (
            "churn-taem/training",
            "model: there is no pipeline route 'churn-taem/training'; did you mean churn-team/training?",
        ),
        ("rent", "the model does not fit: rent is taken by no route"),
    ],
)
def test_a_name_that_no_route_takes_is_refused_with_the_one_that_was_meant(name: str, says: str, api: Api) -> None:
    published(api, files(ONE))
    started = api.post("promotions", {"model": name, "version": "brave_fox", "reason": "x"}, ALICE)
    assert (started.status, started.body["detail"], started.body["no_route"]) == (400, says, True)


def test_a_plan_is_refused_in_the_same_words(api: Api) -> None:
    published(api, files(ONE))
    refused = api.get("plans/training/brave_fox")
    assert (refused.status, refused.body["no_route"]) == (400, True)
    assert refused.body["detail"].endswith("did you mean churn-team/training?")


def test_a_wrong_source_is_no_missing_route(api: Api) -> None:
    published(api, files(ONE))
    body = {"model": "churn-eu", "version": "1", "reason": "x", "source": "prod"}
    refused = api.post("promotions", body, ALICE)
    assert (refused.status, refused.body.get("no_route")) == (400, None)
