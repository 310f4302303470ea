"""Which jobs of a workspace a request wants to see, page by page."""

from collections.abc import Callable, Mapping

from localcloud.azureml.store import Resource
from localcloud.azureml.wire import AzureError

PAGE = 100
_ARCHIVED = {"activeonly": (False,), "archivedonly": (True,)}


def page(jobs: list[Resource], query: Mapping[str, str]) -> tuple[list[Resource], int | None]:
    """The page that starts at `$skip`, and where the next one
    starts. `listViewType`, `jobType`, `tag` (a tag's key) and
    `scheduleId` are understood; 400 for a wrong `$skip`.
    """
    archived = _ARCHIVED.get(query.get("listViewType", "ActiveOnly").lower(), (False, True))
    wanted: list[Callable[[Resource], bool]] = [lambda job: bool(job.properties["isArchived"]) in archived]
    if kind := query.get("jobType"):
        wanted.append(lambda job: str(job.properties["jobType"]).lower() == kind.lower())
    if tag := query.get("tag"):
        wanted.append(lambda job: tag in job.properties["tags"])
    if schedule := query.get("scheduleId"):
        wanted.append(lambda job: job.private.get("schedule") == schedule)
    try:
        first = max(0, int(query.get("$skip") or 0))
    except ValueError as error:
        raise AzureError(400, "BadRequest", "$skip must be a number.") from error
    found = [job for job in jobs if all(is_wanted(job) for is_wanted in wanted)]
    following = first + PAGE
    return found[first:following], following if following < len(found) else None
