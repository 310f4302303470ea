"""The addresses of the local cloud, and an Azure ML client that uses them."""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azure.ai.ml import MLClient
from azure.identity import ManagedIdentityCredential

# The SDK warns about its own experimental classes.
logging.getLogger("azure.ai.ml").setLevel(logging.ERROR)


@dataclass(frozen=True)
class Addresses:
    """What one person needs from a local cloud's `addresses.json`."""

    app: str  #: URL of the Functions app
    app_key: str
    workspaces: Mapping[str, str]  #: ARM id by environment
    certificates: Path  #: the certificate authority to trust
    client_id: str  #: of the person's identity
    environment_variables: Mapping[str, str]  #: variables that let the SDK find the cloud and sign in


def addresses_of(document: Mapping[str, Any]) -> Addresses:
    """The addresses for the first person of a local cloud."""
    people = [name for name in document["by_hand"] if name not in document["workspaces"]]
    by_hand = document["by_hand"][people[0]]
    return Addresses(
        app=document["functions"]["url"],
        app_key=document["functions"]["keys"]["default"],
        workspaces=document["workspaces"],
        certificates=Path(document["azureml"]["ca_file"]),
        client_id=by_hand["AZURE_CLIENT_ID"],
        environment_variables=by_hand,
    )


def ml_client(addresses: Addresses, environment: str) -> MLClient:
    """An unmodified client of an environment's workspace. It needs the person's variables in this process."""
    os.environ.update(addresses.environment_variables)
    parts = addresses.workspaces[environment].split("/")
    return MLClient(
        ManagedIdentityCredential(client_id=addresses.client_id),
        subscription_id=parts[2],
        resource_group_name=parts[4],
        workspace_name=parts[-1],
        show_progress=False,
    )
