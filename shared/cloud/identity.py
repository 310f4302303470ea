"""The Azure credential of an environment's identity."""

import os
from functools import cache

from azure.core.credentials import TokenCredential
from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

from shared.config.app_settings import AppSettings


@cache
def credential(client_id: str | None) -> TokenCredential:
    """The managed identity with this client id (None: the system-assigned one) if the platform offers one, else whoever
    is signed in on this machine. One per client id and process, because a credential caches its tokens.
    """
    if AppSettings.read(os.environ).identity_endpoint:
        return ManagedIdentityCredential(client_id=client_id)
    return DefaultAzureCredential(managed_identity_client_id=client_id)
