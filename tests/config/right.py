"""A small valid configuration, for tests that break one place of it."""

WORKSPACE = "/subscriptions/{0}-sub/resourceGroups/{0}-group/providers/Microsoft.MachineLearningServices/workspaces/{0}"

#: Of the identity of test.
CLIENT_ID = "0f1e2d3c-4b5a-4678-9abc-def012345678"

SETTINGS = {name: WORKSPACE.format(name.lower()) for name in ("DEV", "TEST", "PROD")}

RIGHT = """\
registry: contoso-ml
environments:
  dev: {workspace: "${DEV}"}
  test: {workspace: "${TEST}", identity: 0f1e2d3c-4b5a-4678-9abc-def012345678}
  prod: {workspace: "${PROD}"}
routes:
  churn:
    from: dev
    models: ["churn-*"]
    from_jobs: {experiment: churn-training, output: model, model: churn-eu}
    require_tags: {promote: "true"}
    stages:
      - environment: test
        endpoint: "{model}-test"
        deployment: deployments/churn.yml
        validate:
          - {metric: auc, at_least: 0.82}
        smoke: {requests: smoke/churn.jsonl, max_latency: 500ms}
      - environment: prod
        endpoint: "{model}"
        deployment: deployments/churn.yml
"""


def changed(*changes: tuple[str, str]) -> str:
    """The valid configuration with each text replaced once."""
    text = RIGHT
    for old, new in changes:
        assert text.count(old) >= 1, f"{old!r} is not in the configuration"
        text = text.replace(old, new, 1)
    return text
