from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

from shared.cloud.identity import credential
from tests.cloud.local_azure import STRANGER, WORKER, LocalAzure


def test_each_identity_has_its_credential_which_keeps_its_tokens(azure: LocalAzure) -> None:
    assert isinstance(credential(WORKER), ManagedIdentityCredential)
    assert credential(WORKER) is credential(WORKER)
    scope = f"{azure.address}/.default"
    assert credential(WORKER).get_token(scope).token == credential(WORKER).get_token(scope).token
    assert credential(WORKER).get_token(scope).token != credential(STRANGER).get_token(scope).token


def test_without_a_managed_identity_whoever_is_signed_in_is_used(no_platform: None) -> None:
    assert isinstance(credential("aaaaaaaa-0000-0000-0000-000000000003"), DefaultAzureCredential)
