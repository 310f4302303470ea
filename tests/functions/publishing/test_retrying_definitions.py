"""A pipeline that a file in git defines is retried with the file as it was published last."""

from collections.abc import Mapping

from shared.core.messages import Failed, FailureKind
from tests.config.teams import CHURN
from tests.functions.conftest import ALICE, BOB, Api
from tests.functions.publishing.test_publishing import published

ROUTE = """\
  training:
    from: dev
    pipelines: {{experiment: churn, definition: pipelines/churn.yml}}
    stages: [{stages}]
"""
ONE = "{environment: prod, run: {compute: serverless}}"
TWO = "{environment: test, approval: false, run: {compute: serverless}}, " + ONE
PIPELINE = b"type: pipeline\njobs: {train: {type: command, component: ../train/component.yml}}\n"
CRASHED = Failed("train.py raised KeyError", FailureKind.JOB_FAILED)


def files(stages: str, code: bytes = b"broken") -> Mapping[str, bytes]:
    promotion = CHURN["promotion.yml"] + ROUTE.format(stages=stages).encode()
    component = b"type: command\ncode: .\ncommand: python train.py\n"
    pipeline = {"pipelines/churn.yml": PIPELINE, "train/component.yml": component, "train/train.py": code}
    return {**CHURN, **pipeline, "promotion.yml": promotion}


def failed(api: Api, stages: str) -> tuple[str, str]:
    """The id of a promotion whose run failed in prod, and the digest of the bundle that it used."""
    bundle = published(api, files(stages))
    promotion = api.start("brave_fox", model="churn-team/training")
    api.run()
    api.post(f"promotions/{promotion}/approve", {"reason": "agreed"}, BOB)
    api.run({("prod", "run"): CRASHED})
    assert api.get(f"promotions/{promotion}").body["status"] == "failed"
    return promotion, bundle


def test_a_retry_rebuilds_a_mended_pipeline_before_anybody_is_asked_again(api: Api) -> None:
    promotion, bundle = failed(api, ONE)
    published(api, files(ONE, b"mended"), expected=bundle)
    again = api.post(f"promotions/{promotion}/retry", {"reason": "mended"}, ALICE)
    assert again.status == 202, again.body
    assert "train/train.py changed" in again.body["done"]
    [command] = api.steps
    assert (command.step, command.bundle) == ("register_components", again.body["promotion"]["bundle"])


def test_a_later_stage_never_runs_a_pipeline_that_differs_from_what_ran_before_it(api: Api) -> None:
    promotion, bundle = failed(api, TWO)
    published(api, files(TWO, b"mended"), expected=bundle)
    again = api.post(f"promotions/{promotion}/retry", {"reason": "mended"}, ALICE)
    assert (again.status, again.body["detail"]) == (
        409,
        "the newest bundle defines another pipeline than the one that ran in test: train/train.py differs. Start a new "
        "promotion",
    )
    assert api.steps == []


def test_a_later_stage_is_retried_if_the_newest_bundle_defines_the_same_pipeline(api: Api) -> None:
    promotion, bundle = failed(api, TWO)
    published(api, {**files(TWO), "scoring/score.py": b"def init():\n    print()\n"}, expected=bundle)
    again = api.post(f"promotions/{promotion}/retry", {"reason": "again"}, ALICE)
    assert again.status == 202, again.body
    assert [command.step for command in api.steps] == ["inspect"]
