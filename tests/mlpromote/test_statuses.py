"""The statuses that clients know are those that the app gives."""

from pathlib import Path

import yaml

from mlpromote.statuses import ENDED, STATUSES, UNDER_WAY
from shared.core.promotion import PROMOTION_UNDER_WAY, PromotionStatus


def test_the_clients_know_every_status_of_the_app_in_its_order() -> None:
    assert list(STATUSES) == [status.value for status in PromotionStatus]
    assert set(UNDER_WAY) == PROMOTION_UNDER_WAY
    assert not set(ENDED) & set(UNDER_WAY)


def test_the_api_documents_every_status() -> None:
    document = yaml.safe_load((Path(__file__).parents[2] / "shared/http/openapi.yml").read_text(encoding="utf-8"))
    documented = document["components"]["schemas"]["PromotionStatus"]["enum"]
    assert documented == list(STATUSES)
