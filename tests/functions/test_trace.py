"""What the functions did for a promotion, as recorded by the app itself."""

from pathlib import Path

import pytest

from shared.telemetry.telemetry import trace_id
from tests.functions.conftest import ALICE, KEYS_COUNT_TOO, Api


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    return KEYS_COUNT_TOO | {"MLPROMOTE_TRACES": str(tmp_path / "traces")}


def test_the_spans_of_a_promotion_are_shown(api: Api) -> None:
    started, other = api.start("7", ALICE), api.start("8", ALICE)
    shown = api.get(f"promotions/{started}/trace")
    assert shown.status == 200
    assert shown.body["trace"] == trace_id(started)
    assert [span["name"] for span in shown.body["spans"]] == ["advance: PromotionRequested"]
    assert {span["attributes"]["promotion"] for span in shown.body["spans"]} == {started}
    assert api.get(f"promotions/{other}/trace").body["trace"] != trace_id(started)


def test_there_is_no_trace_of_a_promotion_that_does_not_exist(api: Api) -> None:
    assert api.get("promotions/none/trace").status == 404


class TestWithoutAFolder:
    """Traces go elsewhere, or nowhere."""

    @pytest.fixture
    def settings(self) -> dict[str, str]:
        return KEYS_COUNT_TOO

    def test_the_app_tells_the_id_alone(self, api: Api) -> None:
        started = api.start("7", ALICE)
        assert api.get(f"promotions/{started}/trace").body == {"trace": trace_id(started), "spans": None}
