"""A folder whose files `mlpromote check` reads."""

from tests.config.right import RIGHT

DEPLOYMENT = """\
$schema: https://azuremlschemas.azureedge.net/latest/managedOnlineDeployment.schema.json
code_configuration:
  code: ../scoring
  scoring_script: score.py
environment:
  image: some-image
  conda_file: ../environment/conda.yml
instance_type: Standard_DS3_v2
instance_count: 1
"""
JOB = """\
$schema: https://azuremlschemas.azureedge.net/latest/commandJob.schema.json
command: python evaluate.py ${{inputs.model}}
inputs:
  model: {type: custom_model}
environment: azureml:some@latest
"""
SCRIPT = "def init(): ...\n\n\ndef run(body): ...\n"
FILES = {
    "promotion.yml": RIGHT,
    "deployments/churn.yml": DEPLOYMENT,
    "scoring/score.py": SCRIPT,
    "environment/conda.yml": "dependencies:\n  - python=3.11\n",
    "smoke/churn.jsonl": '{"request": 1}\n',
}
NAMED = "deployments/churn.yml"
ELSEWHERE = DEPLOYMENT.replace("../scoring", "../my code")
