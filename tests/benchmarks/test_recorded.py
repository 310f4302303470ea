"""The messages that the bare loop moves are those of whole promotions."""

from pathlib import Path

from benchmarks import at_once, recorded
from tests.config.right import CLIENT_ID

WORKSPACE = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.MachineLearningServices/workspaces/ws-"
SETTINGS = {"MLPROMOTE_CONFIGURATION": "benchmarks/apps/at_once/promotion.yml"}
for name in ("dev", "test", "prod"):
    SETTINGS |= {f"{name.upper()}_WORKSPACE": WORKSPACE + name, f"{name.upper()}_IDENTITY": CLIENT_ID}


def test_a_promotion_is_one_chain_of_a_command_and_a_report_for_each_step(tmp_path: Path) -> None:
    first, second = recorded.chains(SETTINGS, tmp_path / "store.sqlite", at_once.model_names("a", 2))
    stage = ["validate", "check_capacity", "deploy", "smoke", "shift", "retire"]
    steps = [one["message_id"].split(":")[2] for one in first if one["subject"] == "RunStep"]
    assert steps == ["share", *stage, *stage]
    assert [one["subject"] for one in first] == ["ModelRegistered", *["RunStep", "StepReported"] * len(steps)]
    assert not {one["message_id"] for one in first} & {one["message_id"] for one in second}
