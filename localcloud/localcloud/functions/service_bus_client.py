"""Opens the unmodified SDK's client for a connection. Loaded only for apps that use Service Bus, since the SDK is slow
to import.
"""

from typing import Any

from azure.servicebus import ServiceBusClient

from localcloud.functions.settings import ServiceBusConnection


def make_client(
    connection: ServiceBusConnection, *, retries: int = 3, frame_timeout: float | None = None
) -> ServiceBusClient:
    """A client from a connection string, or with the identity that the connection names.

    `frame_timeout` in seconds is how long the SDK waits for one frame before it checks the time (default 0.2).
    """
    options: dict[str, Any] = {"retry_total": retries, "socket_timeout": frame_timeout}
    if connection.connection_string is not None:
        return ServiceBusClient.from_connection_string(connection.connection_string, **options)
    from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

    credential: ManagedIdentityCredential | DefaultAzureCredential
    if connection.managed_identity:
        credential = ManagedIdentityCredential(client_id=connection.client_id)
    else:
        credential = DefaultAzureCredential(managed_identity_client_id=connection.client_id)
    return ServiceBusClient(str(connection.namespace), credential, **options)
