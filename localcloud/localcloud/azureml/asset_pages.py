"""Which assets of a collection a request wants to see, and in which order."""

from collections.abc import Callable, Mapping

from localcloud.azureml.store import Resource
from localcloud.azureml.wire import AzureError


def page(resources: list[Resource], query: Mapping[str, str]) -> list[Resource]:
    """`listViewType`, `$top`, `$orderBy=createdtime desc`, `stage` and `hash` are understood; 400 for a wrong `$top`.

    `resources` are the oldest first.
    """
    wanted = [_in_view(query.get("listViewType", "").lower())]
    if stage := query.get("stage"):
        wanted.append(lambda resource: resource.properties.get("stage") == stage)
    if digest := query.get("hash"):
        wanted.append(lambda resource: has_hash(resource, digest))
    found = [resource for resource in resources if all(is_wanted(resource) for is_wanted in wanted)]
    if "desc" in (query.get("$orderBy") or query.get("orderBy") or ""):
        found.reverse()
    try:
        top = int(query.get("$top", len(found)))
    except ValueError as error:
        raise AzureError(400, "BadRequest", "$top must be a number.") from error
    return found[:top]


def has_hash(resource: Resource, digest: str) -> bool:
    """Whether the SDK has noted this as the hash of the version's files."""
    return bool((resource.properties.get("properties") or {}).get("hash_sha256") == digest)


def _in_view(view: str) -> Callable[[Resource], bool]:
    if "archivedonly" in view or "archived_only" in view:
        return lambda resource: bool(resource.properties.get("isArchived"))
    if "all" in view:
        return lambda _: True
    return lambda resource: not resource.properties.get("isArchived")
