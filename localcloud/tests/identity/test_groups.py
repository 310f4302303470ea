"""Groups in the tokens of people."""

from pathlib import Path
from typing import Any

import jwt

from localcloud.identity.configuration import AppRegistration, Identity
from localcloud.identity.signing_key import read_or_make_signing_key
from localcloud.identity.tokens import MOST_GROUPS, issue_app_token

APP = "44444444-4444-4444-4444-444444444444"
PERSON = Identity(name="bob", client_id="55555555-5555-5555-5555-555555555555", is_person=True)
MACHINE = Identity(name="prod", client_id="66666666-6666-6666-6666-666666666666")


def claims(folder: Path, identity: Identity, number: int) -> dict[str, Any]:
    groups = tuple(f"00000000-0000-0000-0000-{each:012}" for each in range(number))
    application = AppRegistration(client_id=APP, groups={identity.name: groups})
    token = issue_app_token(identity, application, "http://127.0.0.1:1", read_or_make_signing_key(folder / "key.pem"))
    found: dict[str, Any] = jwt.decode(token.text, options={"verify_signature": False})
    return found


def test_a_token_names_a_persons_groups_unless_they_are_too_many(tmp_path: Path) -> None:
    assert "groups" not in claims(tmp_path, PERSON, 0)
    assert claims(tmp_path, PERSON, 1)["groups"] == ["00000000-0000-0000-0000-000000000000"]
    assert len(claims(tmp_path, PERSON, MOST_GROUPS)["groups"]) == MOST_GROUPS
    too_many = claims(tmp_path, PERSON, MOST_GROUPS + 1)
    assert "groups" not in too_many
    assert too_many["_claim_names"]["groups"] in too_many["_claim_sources"]


def test_an_applications_token_names_no_groups(tmp_path: Path) -> None:
    assert "groups" not in claims(tmp_path, MACHINE, 1)
