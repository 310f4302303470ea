"""The pipelines that people submit to dev: one step each, whose model names no version. The model of one is promoted;
the other one runs again and again.
"""

import warnings
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the SDK's own use of marshmallow warns while it is imported
    from azure.ai.ml import MLClient, Output, command, dsl

EXPERIMENT, ROUTE, MODEL = "chaos-training", "chaos/training", "trained-one"
AGAIN_EXPERIMENT, AGAIN_ROUTE, AGAIN_MODEL = "chaos-again", "chaos/again", "again-one"
#: By route, whose name is its pipelines', too.
EXPERIMENTS = {ROUTE: EXPERIMENT, AGAIN_ROUTE: AGAIN_EXPERIMENT}
#: What a deployment of such a model answers in place of a version: what trains it cannot know its version.
UNVERSIONED = "unversioned"
_CURATED = "azureml://registries/azureml/environments/sklearn-1.5/versions/33"


def submit(dev: MLClient, name: str, experiment: str) -> None:
    """Submit a pipeline under a name."""
    write = command(
        command=f"echo -n {MODEL} {UNVERSIONED} > ${{{{outputs.model}}}}/model.txt",
        environment=_CURATED,
        outputs={"model": Output(type="custom_model")},
    )

    @dsl.pipeline(None, compute="serverless", experiment_name=experiment)
    def pipeline() -> dict[str, Any]:
        step: Any = write()
        return {"model": step.outputs.model}

    job = pipeline()
    job.name = name
    dev.jobs.create_or_update(job)
