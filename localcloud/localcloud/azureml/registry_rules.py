"""What a registry refuses although a workspace accepts it: assets without a name, and references into a workspace."""

from collections.abc import Iterator

from localcloud.azureml.component_specification import ANONYMOUS
from localcloud.azureml.wire import AzureError, Json

_IN_A_WORKSPACE = ("azureml:/subscriptions/", "/subscriptions/", "azureml://subscriptions/")


def refuse_component(registry: str, name: str, specification: Json) -> None:
    """Raises a 400 for an inline component, and for one whose code, environment or steps are in a workspace."""
    if name == ANONYMOUS:
        raise AzureError(
            400,
            "UserError",
            f"The registry {registry} takes components with a name only. Register each step of the pipeline first.",
        )
    for field, reference in _references(specification):
        if reference.startswith(_IN_A_WORKSPACE) or f"/components/{ANONYMOUS}/" in reference:
            raise AzureError(
                400,
                "UserError",
                f"The {field} of the component {name} is {reference}, and the registry {registry} takes assets of a"
                " registry only. Register it there first, with a name.",
            )


def _references(specification: Json) -> Iterator[tuple[str, str]]:
    for holder in (specification, specification.get("task")):
        if isinstance(holder, dict):
            yield from ((field, holder[field]) for field in ("code", "environment") if _is_text(holder.get(field)))
    for name, node in (specification.get("jobs") or {}).items():
        for field in ("componentId", "environment"):
            if _is_text((node or {}).get(field)):
                yield f"{field} of the step {name}", node[field]


def _is_text(value: object) -> bool:
    return isinstance(value, str)
