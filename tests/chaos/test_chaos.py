"""A short run of the harness; `make chaos` does a long one."""

from pathlib import Path

import pytest

from tests.chaos.run import Plan, run

SEED, KILLS = 20261121, 10
pytestmark = [
    pytest.mark.timeout(900),
    # The SDK's own use of marshmallow 3, as in the end-to-end tests.
    pytest.mark.filterwarnings("ignore::marshmallow.warnings.RemovedInMarshmallow4Warning"),
]


async def test_everything_holds_after_ten_kills(tmp_path: Path) -> None:
    result = await run(Plan(SEED, KILLS, ["straight-1", "careful-1", "gradual-1"], KILLS), tmp_path / "chaos", print)
    assert result.violations == [], f"seed {SEED}: {result.summary}"
    assert result.kills.total() == KILLS
    assert result.ended["succeeded"], f"nothing was promoted: {result.summary}"
