"""A platform's file, and the folders of two teams that publish to it."""

from collections.abc import Mapping
from pathlib import Path

from tests.config.right import SETTINGS

#: Object id of an Entra ID group.
GROUP = "aaaaaaaa-0000-4000-8000-000000000001"

PLATFORM = f"""\
registry: contoso-ml
environments:
  dev: {{workspace: "${{DEV}}"}}
  test: {{workspace: "${{TEST}}"}}
  prod: {{workspace: "${{PROD}}", policy: {{approvals: 1, instance_types: [Standard_DS3_v2]}}}}
sources:
  churn-team: {{models: ["churn*"], environments: [dev, test, prod]}}
  credit-team: {{publishers: [Credit.Publisher, {GROUP}]}}
"""
PLATFORM_SETTINGS = SETTINGS

ROUTES = """\
routes:
  scores:
    from: dev
    models: ["churn-*"]
    stages:
      - environment: test
        endpoint: "{model}-test"
        deployment: deployments/churn.yml
        smoke: {requests: smoke/churn.jsonl}
"""
DEPLOYMENT = """\
$schema: https://azuremlschemas.azureedge.net/latest/managedOnlineDeployment.schema.json
code_configuration: {code: ../scoring, scoring_script: score.py}
environment: {image: "mcr.microsoft.com/azureml/minimal-py312-inference:latest", conda_file: ../environment/conda.yml}
instance_type: Standard_DS3_v2
instance_count: 1
"""
#: The files of churn-team.
CHURN: Mapping[str, bytes] = {
    "promotion.yml": ROUTES.encode(),
    "deployments/churn.yml": DEPLOYMENT.encode(),
    "scoring/score.py": b"def init():\n    pass\n",
    "environment/conda.yml": b"dependencies: [python=3.11]\n",
    "smoke/churn.jsonl": b'{"request": {"x": 1}}\n',
}


def edited(*changes: tuple[str, str, str]) -> dict[str, bytes]:
    """The files of churn-team with a text replaced by another: each change is name, old, new."""
    files = dict(CHURN)
    for name, old, new in changes:
        text = files[name].decode()
        assert old in text, f"{old!r} is not in {name}"
        files[name] = text.replace(old, new, 1).encode()
    return files


def in_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    """The folder with these files."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder
