"""azure-identity's own credential gets tokens from the identity part, per identity, signed with the key of the file."""

import asyncio
import json
import stat
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ManagedIdentityCredential as BlockingManagedIdentityCredential
from azure.identity.aio import ManagedIdentityCredential

DEV = "11111111-1111-1111-1111-111111111111"
PROD = "22222222-2222-2222-2222-222222222222"
PRODUCTION_PRINCIPAL = "33333333-3333-3333-3333-333333333333"
DEV_RESOURCE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/dev"
SCOPE = "https://management.azure.com/.default"
HEADER = "the-header"


def configuration(folder: Path, **changes: Any) -> dict[str, Any]:
    return {
        "identities": [
            {"name": "dev", "client_id": DEV, "resource_id": DEV_RESOURCE},
            {"name": "prod", "client_id": PROD, "principal_id": PRODUCTION_PRINCIPAL},
        ],
        "header": HEADER,
        "token_key": str(folder / "secrets" / "token.key"),
        "signing_key": str(folder / "secrets" / "signing.pem"),
        **changes,
    }


async def launch(folder: Path, content: dict[str, Any]) -> asyncio.subprocess.Process:
    file = folder / "identity.json"
    file.write_text(json.dumps(content))
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "localcloud", "identity", "--port", "0", "--config", str(file)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def ready_address(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(300):
        line = (await process.stdout.readline()).decode()
    assert "ready on http://127.0.0.1:" in line
    return line.split()[-1]


@pytest.fixture
async def endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    process = await launch(tmp_path, configuration(tmp_path))
    try:
        address = await ready_address(process)
        monkeypatch.setenv("IDENTITY_ENDPOINT", address)
        monkeypatch.setenv("IDENTITY_HEADER", HEADER)
        yield address
        process.terminate()
        async with asyncio.timeout(300):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def claims_of(client_id: str, folder: Path) -> dict[str, Any]:
    async with ManagedIdentityCredential(client_id=client_id) as credential:
        token = await credential.get_token(SCOPE)
    key = (folder / "secrets" / "token.key").read_text()
    return dict(jwt.decode(token.token, key, algorithms=["HS256"], audience="https://management.azure.com"))


@pytest.mark.usefixtures("endpoint")
async def test_each_identity_gets_a_signed_token_of_its_own(tmp_path: Path) -> None:
    dev, prod = await claims_of(DEV, tmp_path), await claims_of(PROD, tmp_path)
    assert (dev["appid"], dev["name"]) == (DEV, "dev")
    assert (prod["appid"], prod["name"], prod["oid"]) == (PROD, "prod", PRODUCTION_PRINCIPAL)
    assert dev["oid"] not in (prod["oid"], DEV, "")
    assert dev["tid"] == prod["tid"]
    assert dev["nbf"] <= dev["iat"] <= time.time() < dev["exp"]


@pytest.mark.usefixtures("endpoint")
@pytest.mark.parametrize(
    ("asked_for", "client_id"),
    [
        ({"resource_id": DEV_RESOURCE}, DEV),
        ({"resource_id": DEV_RESOURCE.upper()}, DEV),
        ({"object_id": PRODUCTION_PRINCIPAL}, PROD),
    ],
)
async def test_both_credentials_find_an_identity_by_its_other_ids(asked_for: dict[str, str], client_id: str) -> None:
    async with ManagedIdentityCredential(identity_config=asked_for) as credential:
        token = await credential.get_token(SCOPE)
    blocking = await asyncio.to_thread(BlockingManagedIdentityCredential(identity_config=asked_for).get_token, SCOPE)
    for text in (token.token, blocking.token):
        assert jwt.decode(text, options={"verify_signature": False})["appid"] == client_id


@pytest.mark.usefixtures("endpoint")
async def test_the_key_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "secrets" / "token.key").stat().st_mode) == 0o600


@pytest.mark.usefixtures("endpoint")
async def test_an_unknown_client_id_gets_no_token() -> None:
    async with ManagedIdentityCredential(client_id="99999999-9999-9999-9999-999999999999") as credential:
        with pytest.raises(ClientAuthenticationError):
            await credential.get_token(SCOPE)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"client_id": "99999999-9999-9999-9999-999999999999"}, 400),
        ({"client_id": ""}, 400),  # there is no system-assigned identity
        ({"client_id": "", "mi_res_id": DEV_RESOURCE}, 200),
        ({"resource": ""}, 400),
        ({"api-version": "2017-09-01"}, 400),
        ({}, 200),
    ],
)
async def test_requests_are_answered_in_the_form_of_app_service(
    endpoint: str, changes: dict[str, str], status: int
) -> None:
    query = {"api-version": "2019-08-01", "resource": "https://ml.azure.com", "client_id": DEV, **changes}
    async with (
        aiohttp.ClientSession(headers={"X-IDENTITY-HEADER": HEADER}) as session,
        session.get(endpoint, params=query) as answer,
    ):
        assert answer.status == status
        content = await answer.json()
    if status == 200:
        assert set(content) == {"access_token", "client_id", "expires_on", "resource", "token_type"}
    else:
        assert content["statusCode"] == status
        assert content["message"]


async def test_a_wrong_header_is_refused(endpoint: str) -> None:
    query = {"api-version": "2019-08-01", "resource": "https://ml.azure.com", "client_id": DEV}
    async with (
        aiohttp.ClientSession(headers={"X-IDENTITY-HEADER": "guessed"}) as session,
        session.get(endpoint, params=query) as answer,
    ):
        assert answer.status == 401


async def test_only_a_request_that_names_no_identity_gets_the_system_assigned_one(tmp_path: Path) -> None:
    process = await launch(tmp_path, configuration(tmp_path, system_assigned={"name": "app", "client_id": PROD}))
    try:
        query = {"api-version": "2019-08-01", "resource": "https://ml.azure.com"}
        address = await ready_address(process)
        async with (
            aiohttp.ClientSession(headers={"X-IDENTITY-HEADER": HEADER}) as session,
            session.get(address, params=query) as answer,
        ):
            assert (await answer.json())["client_id"] == PROD
        async with (
            aiohttp.ClientSession(headers={"X-IDENTITY-HEADER": HEADER}) as session,
            session.get(address, params={**query, "mi_res_id": f"{DEV_RESOURCE}-unknown"}) as answer,
        ):
            assert answer.status == 400
    finally:
        process.kill()
        await process.wait()


async def test_all_faults_of_the_configuration_are_reported_with_their_places(tmp_path: Path) -> None:
    content = configuration(tmp_path, identities=[{"name": "dev", "client_id": "dev"}], header="", colour="red")
    process = await launch(tmp_path, content)
    _, told = await process.communicate()
    assert process.returncode == 1
    assert "identities[0].client_id: " in told.decode()
    assert "header: " in told.decode()
    assert "colour: " in told.decode()


# --- tokens for applications that verify them themselves ---

APP = "44444444-4444-4444-4444-444444444444"
APPLICATIONS = [{"client_id": APP, "roles": {"prod": ["Some.Role", "Other.Role"]}}]
TENANT = "00000000-0000-0000-0000-000000000001"


async def verified(address: str, client_id: str, resource: str) -> dict[str, Any]:
    """The claims of a token, verified with nothing but what is published. `address`: of the managed identities."""
    authority = address.removesuffix("/msi/token")
    query = {"api-version": "2019-08-01", "resource": resource, "client_id": client_id}
    async with aiohttp.ClientSession() as session:
        async with session.get(address, params=query, headers={"X-IDENTITY-HEADER": HEADER}) as answer:
            assert answer.status == 200, await answer.text()
            token = (await answer.json())["access_token"]
        async with session.get(f"{authority}/{TENANT}/v2.0/.well-known/openid-configuration") as answer:
            configuration = await answer.json()
        async with session.get(configuration["jwks_uri"]) as answer:
            [published] = (await answer.json())["keys"]
    assert configuration["issuer"] == f"{authority}/{TENANT}/v2.0"
    assert published["kid"] == jwt.get_unverified_header(token)["kid"]
    assert set(published) == {"kty", "use", "kid", "n", "e", "key_ops"}, "nothing of the private key"
    return dict(jwt.decode(token, jwt.PyJWK(published), ["RS256"], audience=APP, issuer=configuration["issuer"]))


async def test_an_application_can_verify_tokens_for_it_by_what_is_published(tmp_path: Path) -> None:
    process = await launch(tmp_path, configuration(tmp_path, applications=APPLICATIONS))
    try:
        address = await ready_address(process)
        prod = await verified(address, PROD, f"api://{APP}")
        assert (prod["oid"], prod["name"], prod["tid"], prod["ver"]) == (PRODUCTION_PRINCIPAL, "prod", TENANT, "2.0")
        assert prod["roles"] == ["Some.Role", "Other.Role"]
        dev = await verified(address, DEV, APP.upper())
        assert "roles" not in dev, "as in Entra ID, anybody gets a token, and no role with it"
        query = {"api-version": "2019-08-01", "resource": "api://another", "client_id": DEV}
        async with (
            aiohttp.ClientSession(headers={"X-IDENTITY-HEADER": HEADER}) as session,
            session.get(address, params=query) as answer,
        ):
            assert answer.status == 400
            assert "api://another was not found in the tenant" in (await answer.json())["message"]
    finally:
        process.kill()
        await process.wait()
    assert stat.S_IMODE((tmp_path / "secrets" / "signing.pem").stat().st_mode) == 0o600


async def test_roles_of_an_identity_that_does_not_exist_are_a_fault(tmp_path: Path) -> None:
    wrong = [{"client_id": APP, "roles": {"nobody": ["Some.Role"]}}]
    process = await launch(tmp_path, configuration(tmp_path, applications=wrong))
    _, told = await process.communicate()
    assert process.returncode == 1
    assert "there is no identity nobody to have roles" in told.decode()
