"""A script that deploys a model with the Azure ML SDK and waits for each operation, like a CI job.

Prints the seconds from its first call to its last answer, without importing the SDK. Its arguments are the model's id,
the workspace's ARM id, and the endpoint's name. Environment variables tell the SDK how to find the cloud and sign in.
"""

import json
import logging
import os
import sys
import time

from azure.ai.ml import MLClient, load_online_deployment
from azure.ai.ml.entities import ManagedOnlineEndpoint
from azure.identity import ManagedIdentityCredential

from benchmarks.children import REPOSITORY

DEPLOYMENT = "blue"
FILE = REPOSITORY / "examples" / "digits" / "deployments" / "digits.test.yml"


def main(model: str, workspace: str, endpoint_name: str) -> None:
    logging.getLogger("azure.ai.ml").setLevel(logging.ERROR)
    parts = workspace.split("/")
    began = time.perf_counter()
    client = MLClient(
        ManagedIdentityCredential(client_id=os.environ["AZURE_CLIENT_ID"]),
        subscription_id=parts[2],
        resource_group_name=parts[4],
        workspace_name=parts[-1],
        show_progress=False,
    )
    endpoint = ManagedOnlineEndpoint(name=endpoint_name, auth_mode="key")
    client.online_endpoints.begin_create_or_update(endpoint).result()
    deployment = load_online_deployment(FILE)
    deployment.name, deployment.endpoint_name, deployment.model = DEPLOYMENT, endpoint_name, model
    client.online_deployments.begin_create_or_update(deployment).result()
    endpoint.traffic = {DEPLOYMENT: 100}
    client.online_endpoints.begin_create_or_update(endpoint).result()
    sys.stdout.write("\n" + json.dumps(time.perf_counter() - began) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
