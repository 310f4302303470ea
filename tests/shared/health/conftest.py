"""An app whose health checks all pass, for tests that break one thing."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jwt
import pytest

from shared.cloud.signing_keys import Keys, SigningKeys
from shared.cloud.sqlite import SqliteStore
from shared.config import Policy, load, sign_in
from shared.config.app_settings import AppSettings
from shared.config.roles import Roles
from shared.http.health import Health
from shared.http.sign_in import Verifier
from shared.worker.order import Rules
from tests.config.right import RIGHT, SETTINGS
from tests.fakes.identity_provider import IdentityProvider, published
from tests.fakes.queues import FakeQueues
from tests.fakes.workspace import FakeWorkspace

NAMES = ("dev", "test", "prod")
ISSUER = IdentityProvider()


def verifier(fetch: Callable[[], Keys] | None = None) -> Verifier:
    """Of tokens of an issuer that publishes one key, or what `fetch` gives."""
    settings = sign_in.read(AppSettings.read(ISSUER.settings))
    assert settings
    return Verifier(settings, SigningKeys(fetch or (lambda: {"first": jwt.PyJWK(published("first"))})))


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*_: object) -> Any:
        raise error

    return fail


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a configuration that is right, and its files."""
    (tmp_path / "promotion.yml").write_text(RIGHT, encoding="utf-8")
    for name, content in (("deployments/churn.yml", "instance_count: 1\n"), ("smoke/churn.jsonl", '{"request": 1}\n')):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


@pytest.fixture
def health(folder: Path) -> Health:
    """Of an app with all parts, in which all is well."""
    workspaces = {name: FakeWorkspace(name=name) for name in NAMES}
    queues = FakeQueues()
    return Health(
        roles=Roles(True, NAMES),
        environments=NAMES,
        folder=folder,
        configuration=lambda: load(folder / "promotion.yml", SETTINGS),
        store=lambda: SqliteStore(folder / "promotions.sqlite"),
        dead_letters=lambda: queues,
        topic=lambda: None,
        workspace=workspaces.__getitem__,
        policy=lambda _: Policy(),
        rules=lambda _: Rules(),
        sources=lambda: ["dev"],
        verifier=lambda: verifier(),
        bundle_folder=lambda digest: folder / digest,
        states=lambda: (),
        worker_configuration=lambda: None,
        edit=lambda: None,
    )


def faults(health: Health) -> list[tuple[str, str, str]]:
    """The checks that are not ok, with their texts."""
    report = health.report(None)
    found = [(check["what"], check["name"], check["says"]) for check in report["checks"] if not check["ok"]]
    assert report["healthy"] is not bool(found)
    return found


def line(health: Health, what: str, name: str) -> Mapping[str, Any]:
    """The one line about this."""
    [found] = [one for one in health.report(None)["checks"] if (one["what"], one["name"]) == (what, name)]
    return dict(found)
