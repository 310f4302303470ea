"""An app whose routes teams publish."""

from pathlib import Path

import pytest

from tests.config.teams import PLATFORM
from tests.fakes.identity_provider import IdentityProvider


@pytest.fixture
def configuration() -> str:
    return PLATFORM


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Bundles are unpacked in a folder of the test's own."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    return IdentityProvider().settings | {"MLPROMOTE_SIGN_IN": "optional"}
