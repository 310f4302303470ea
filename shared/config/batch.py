"""How a new deployment of a batch endpoint is tested before it becomes the default: on a fixed input."""

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from shared.config.evaluation import AskedData
from shared.config.fields import SETTING, Duration, Margin, Settings, Text, no_truth_value
from shared.core import asset_names

#: The step that tests.
INVOKE = "invoke"
#: Settings of a stage that say something of an online endpoint alone, with what a batch endpoint has instead.
ONLINE_ONLY = {
    "smoke": "test it with `test`",
    "rollout": "its default is switched at once; `keep` keeps the replaced deployment",
    "monitor": "it has no traffic to watch",
}
#: The opposite.
BATCH_ONLY = {
    "test": "test an online endpoint with `smoke`",
    "keep": "for an online endpoint, keep is part of `rollout`",
}


#: A part of all rows.
Part = Annotated[
    float,
    BeforeValidator(no_truth_value),
    Field(allow_inf_nan=False, ge=0, le=1),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "string", "pattern": SETTING}]}),
]


def _data(text: str) -> str:
    plain = text.removeprefix("azureml:") if not text.startswith(asset_names.REGISTRIES) else text
    shared = asset_names.read(plain)
    if plain.startswith(asset_names.REGISTRIES):
        if shared is None or shared.kind != "data":
            raise ValueError(
                f"must be a data asset, azureml://registries/NAME/data/NAME/versions/VERSION, not {text!r}"
            )
        return plain
    AskedData.read(plain)
    return plain


class BatchTest(Settings):
    """A test of a new deployment: both it and the present default get the same input, and their rows are compared."""

    input: Annotated[Text, AfterValidator(_data)] = Field(
        description="Data asset of the environment's workspace, NAME:VERSION or NAME@latest, or of the registry, "
        "azureml://registries/NAME/data/NAME/versions/VERSION."
    )
    disagreement: Part | None = Field(
        default=None,
        description="The largest part of the rows, from 0 to 1, in which the new deployment may differ from the "
        "present default. Default: differences are counted, but not judged.",
    )
    tolerance: Margin = Field(
        default=0.0, description="How far numbers may be apart and still count as equal. 0 is exact."
    )
    timeout: Duration = Field(
        default=timedelta(hours=2),
        description="How long both jobs may take together, with the wait for nodes of the cluster.",
        json_schema_extra={"default": "2h"},
    )

    def asked(self) -> AskedData | None:
        """The data asset of the workspace; None if the input is the registry's."""
        return None if asset_names.is_of_registry(self.input) else AskedData.read(self.input)
