"""What people call a promotion: its id, or MODEL/VERSION."""

from collections.abc import Mapping

from mlpromote.api import Api, Document
from mlpromote.exit_codes import CommandError, ExitCode
from mlpromote.output import Output
from mlpromote.statuses import UNDER_WAY

#: How many of a model's newest promotions are searched for a version.
NEWEST = 1000


def promotion_id(api: Api, reference: str, output: Output | None = None, serving: bool = True) -> str:
    """Return the promotion id for an id, a MODEL/VERSION or a ROUTE/JOB.

    A model's version is preferred to a job of the same name. Of several promotions of a version, the one under way is
    meant, else with `serving` the one that serves, else the newest. `output` tells which one that is.
    """
    model, separator, version = reference.rpartition("/")  # the name of a published route has a slash, too
    if not separator:
        return reference
    found = [each for each in api.entries("promotions", query={"model": model}, most=NEWEST) if _is(each, version)]
    found = [each for each in found if each["kind"] == "model"] or found
    if not found:
        raise CommandError(
            ExitCode.NOT_FOUND,
            f"There is no promotion of {model} version {version}. Run `mlpromote list` to see what exists.",
        )
    meant, why = str(found[0]["id"]), "the newest"
    if len(found) == 1:
        return meant
    stages = _serving(api, model) if serving else {}
    for each in found:
        if each["status"] in UNDER_WAY:
            meant, why = str(each["id"]), "under way"
            break
        if each["id"] in stages:
            meant, why = str(each["id"]), f"the one that serves {stages[each['id']]}"
            break
    if output is not None:
        output.remark(f"{reference} has {len(found)} promotions. This is about {meant}, {why}; name another by its id.")
    return meant


def versioned(arguments: tuple[str, ...]) -> tuple[str, str]:
    """Return model and version of `MODEL VERSION` or `MODEL/VERSION`. Raises `CommandError`."""
    model, separator, version = arguments[0].rpartition("/")
    if len(arguments) == 2:
        return arguments[0], arguments[1]
    if len(arguments) > 2 or not separator:
        raise CommandError(ExitCode.USAGE, f"Expected MODEL/VERSION, such as churn/3, not {' '.join(arguments)!r}.")
    return model, version


def _is(promotion: Document, version: str) -> bool:
    return bool(promotion["version"] == version)


def _serving(api: Api, model: str) -> Mapping[str, str]:
    """Return the promotions that serve a stage now, by id, each with the names of its stages."""
    stages: dict[str, list[str]] = {}
    for lane in api.entries("routes", query={"model": model}):
        for stage in lane["stages"]:
            if stage["champion"]:
                stages.setdefault(stage["champion"]["promotion"], []).append(stage["name"])
    return {promotion: " and ".join(names) for promotion, names in stages.items()}
