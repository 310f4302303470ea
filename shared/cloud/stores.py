"""Selects the store by the app's settings."""

import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.config.app_settings import AppSettings
from shared.ports import Approvals, Bundles, DiscardedLetters, LiveSeries, Store, StoreUnavailableError

if TYPE_CHECKING:
    from azure.data.tables import TableClient, TableServiceClient

FILE = "MLPROMOTE_STORE"
TABLE = "MLPROMOTE_TABLE"
USUAL_TABLE = "mlpromote"
BUNDLES = "MLPROMOTE_BUNDLES"
USUAL_CONTAINER = "mlpromote-bundles"
#: Suffix of the name of the approvals' table.
APPROVALS = "approvals"
_LONGEST_TABLE = 63 - len(APPROVALS)
#: Setting of the Function App's own storage account. The host uses the same.
STORAGE = "AzureWebJobsStorage"

#: Temporary statuses: no answer in time, throttled, and no right (a role that was removed may be granted again).
_NOT_NOW = frozenset({401, 403, 408, 429})

#: Per request, with growing pauses: about ten seconds in all. After that, the message's redelivery retries.
_RETRIES = 4
_CONNECTING_SECONDS = 5
_READING_SECONDS = 30
_PATIENCE: dict[str, Any] = {
    "retry_total": _RETRIES,
    "connection_timeout": _CONNECTING_SECONDS,
    "read_timeout": _READING_SECONDS,
}


def connect(settings: AppSettings) -> Store:
    """The file that the settings name, else the table in the Function App's storage account, which is created if
    missing.

    Raises ValueError with a sentence that says what to set.
    """
    place = _place(settings)
    if isinstance(place, Path):
        from shared.cloud.sqlite import SqliteStore

        return SqliteStore(place)
    from shared.cloud.tables import TablesStore

    return TablesStore(place)


def connect_approvals(settings: AppSettings) -> Approvals:
    """The approvals that environments take themselves, in the same file, or in their own table beside the store's.

    Raises ValueError as `connect` does.
    """
    place = _place(settings, APPROVALS)
    if isinstance(place, Path):
        from shared.cloud.sqlite_approvals import SqliteApprovals

        return SqliteApprovals(place)
    from shared.cloud.table_approvals import TableApprovals

    return TableApprovals(place)


def connect_discarded(settings: AppSettings) -> DiscardedLetters:
    """The journal of discarded dead letters: in the store's file or table. Raises ValueError as `connect` does."""
    place = _place(settings)
    if isinstance(place, Path):
        from shared.cloud.sqlite_discarded import SqliteDiscarded

        return SqliteDiscarded(place)
    from shared.cloud.table_discarded import TableDiscarded

    return TableDiscarded(place)


def connect_series(settings: AppSettings) -> LiveSeries:
    """Live figures minute by minute: in the store's file or table. Raises ValueError as `connect` does."""
    place = _place(settings)
    if isinstance(place, Path):
        from shared.cloud.sqlite_series import SqliteSeries

        return SqliteSeries(place)
    from shared.cloud.table_series import TableSeries

    return TableSeries(place)


def connect_bundles(settings: AppSettings) -> Bundles:
    """The published bundles: in the container that the settings name, or in the store's file.

    Raises ValueError with a sentence that says what to set.
    """
    if settings.bundles.startswith(("https://", "http://")):
        from azure.storage.blob import ContainerClient

        from shared.cloud.blob_bundles import BlobBundles
        from shared.cloud.identity import credential

        identity = credential(settings.storage_client_id or None)
        return BlobBundles(ContainerClient.from_container_url(settings.bundles, credential=identity, **_PATIENCE))
    if file := settings.bundles or settings.store:
        from shared.cloud.sqlite_bundles import SqliteBundles

        return SqliteBundles(Path(file))
    if settings.storage:
        from azure.core.exceptions import ResourceExistsError
        from azure.storage.blob import ContainerClient

        from shared.cloud.blob_bundles import BlobBundles

        container = ContainerClient.from_connection_string(settings.storage, USUAL_CONTAINER, **_PATIENCE)
        with suppress(ResourceExistsError):
            container.create_container()
        return BlobBundles(container)
    raise ValueError(
        f"There is no place for bundles. Set {BUNDLES} to the address of a container in the app's storage account, "
        "such as https://ACCOUNT.blob.core.windows.net/bundles."
    )


def is_unavailable(fault: Exception) -> bool:
    """Whether an error means that the store cannot be read or written now, but perhaps later."""
    if isinstance(fault, StoreUnavailableError):
        return True
    from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError

    if isinstance(fault, HttpResponseError):
        status = fault.status_code or 0
        return status in _NOT_NOW or status >= 500
    return isinstance(fault, ServiceRequestError | ServiceResponseError)


def _place(settings: AppSettings, suffix: str = "") -> "Path | TableClient":
    """The store's file, or a table of the account, which is created if missing: the store's, or one named like it."""
    if settings.store:
        return Path(settings.store)
    return _account(settings).create_table_if_not_exists(f"{_table(settings)}{suffix}")


def _table(settings: AppSettings) -> str:
    name = settings.table or USUAL_TABLE
    if not re.fullmatch(rf"[A-Za-z][A-Za-z0-9]{{2,{_LONGEST_TABLE - 1}}}", name):
        raise ValueError(f"{TABLE}: {name[:100]!r} must be 3 to {_LONGEST_TABLE} letters and digits, a letter first")
    return name


def _account(settings: AppSettings) -> "TableServiceClient":
    from azure.data.tables import TableServiceClient

    connection_string = settings.storage
    if connection_string:
        return TableServiceClient.from_connection_string(connection_string, **_PATIENCE)
    endpoint = settings.storage_table_uri
    name = settings.storage_account
    if not endpoint and not name:
        raise ValueError(
            f"There is no store. Set {STORAGE}__accountName, {STORAGE}__tableServiceUri or {STORAGE}"
            f" (a connection string) for Azure Tables, or {FILE} (a path) for a SQLite file on one machine."
        )
    from shared.cloud.identity import credential

    identity = credential(settings.storage_client_id or None)
    return TableServiceClient(endpoint or f"https://{name}.table.core.windows.net", credential=identity, **_PATIENCE)
