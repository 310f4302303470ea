"""`mlpromote check` of stages with a batch endpoint."""

import pytest

from mlpromote.exit_codes import ExitCode
from tests.config.right import changed
from tests.mlpromote.conftest import Check

BATCH = """\
$schema: https://azuremlschemas.azureedge.net/latest/modelBatchDeployment.schema.json
type: model
code_configuration:
  code: ../scoring
  scoring_script: score.py
environment: azureml:sklearn:1
compute: azureml:cpu
settings: {mini_batch_size: 10}
"""
ON_BATCH = changed(
    ('endpoint: "{model}-test"', 'batch_endpoint: "{model}-scoring"'),
    ("smoke: {requests: smoke/churn.jsonl, max_latency: 500ms}", "test: {input: churn-sample:1, disagreement: 0.02}"),
    ("deployment: deployments/churn.yml", "deployment: deployments/batch.yml"),
)
NAMED_BATCH = "deployments/batch.yml"


def with_also(line: str) -> str:
    """The configuration with another line in the stage that has a batch endpoint."""
    return ON_BATCH.replace("        test: {input", f"        {line}\n        test: {{input")


def test_a_stage_with_a_batch_endpoint_is_checked_with_azure_mls_own_loader(check: Check) -> None:
    ended = check({"promotion.yml": ON_BATCH, NAMED_BATCH: BATCH})
    assert (ended.code, ended.output) == (0, "churn: churn-*: dev → test → prod\nno faults\n")


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        (NAMED_BATCH, BATCH.replace("size: 10", "size: x"), f"{NAMED_BATCH}:8:12: settings.mini_batch_size: "),
        (NAMED_BATCH, f"{BATCH}instance_type: x\n", f"{NAMED_BATCH}:9:1: instance_type: is no key that Azure ML knows"),
        (NAMED_BATCH, BATCH.replace("compute: azureml:cpu\n", ""), "compute: is missing"),
        (NAMED_BATCH, f"{BATCH}component: azureml:steps:1\n", "type: must describe a batch deployment of a model"),
        (NAMED_BATCH, BATCH.replace("score.py", "scor.py"), f"{NAMED_BATCH}:5:3: ../scoring/scor.py does not exist"),
        ("promotion.yml", with_also("smoke: {requests: x.jsonl}"),
         "routes.churn.stages[0].smoke: makes no sense for a batch endpoint: test it with `test`"),
        ("promotion.yml", with_also("rollout: {keep: 1h}"),
         "routes.churn.stages[0].rollout: makes no sense for a batch endpoint: its default is switched at once"),
        ("promotion.yml", with_also("monitor: m.yml"),
         "routes.churn.stages[0].monitor: makes no sense for a batch endpoint: it has no traffic to watch"),
        ("promotion.yml", with_also("endpoint: churn"),
         "routes.churn.stages[0].endpoint: is in one stage with batch_endpoint"),
        ("promotion.yml", changed(("        smoke:", "        keep: 1h\n        smoke:")),
         "routes.churn.stages[0].keep: is for a batch endpoint: for an online endpoint, keep is part of `rollout`"),
        ("promotion.yml", ON_BATCH.replace("sample:1", "sample@1"), "stages[0].test.input: must be a data asset"),
        ("promotion.yml", ON_BATCH.replace("0.02", "2"), "stages[0].test.disagreement: "),
    ],
)  # fmt: skip
def test_each_fault_of_a_stage_with_a_batch_endpoint_has_its_place(
    file: str, content: str, said: str, check: Check
) -> None:
    ended = check({"promotion.yml": ON_BATCH, NAMED_BATCH: BATCH, file: content})
    assert ended.code == ExitCode.REFUSED
    assert said in ended.output
