"""Sends scoring requests to an online endpoint.

Uses its own POSTs: azure-ai-ml's `invoke` keeps a deployment's name for every later caller in the process.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from azure.core import PipelineClient
from azure.core.exceptions import ServiceResponseTimeoutError
from azure.core.pipeline.policies import RequestIdPolicy, UserAgentPolicy
from azure.core.rest import HttpRequest, HttpResponse

from shared.cloud.azureml_rest import CONNECTION_TIMEOUT, Rest
from shared.ports import Answer, RejectedError

#: The API version that azure-ai-ml 1.35 uses.
_ENDPOINTS = "2022-02-01-preview"

#: Azure ends a request to a managed endpoint after at most 180 s. Less here, because a function waits.
ANSWER_TIMEOUT = 30

#: Longer answers are cut to this.
LONGEST_ANSWER = 1_000_000


def address_and_key(rest: Rest, endpoint: str, token: Callable[[], str]) -> tuple[str, str]:
    """The scoring address of the endpoint with this ARM id, and a key or token that it accepts. `token`: returns the
    identity's own for the data plane."""
    name = endpoint.rsplit("/", 1)[1]
    found = rest.get(endpoint, **{"api-version": _ENDPOINTS})
    properties = (found or {}).get("properties", {})
    if not properties.get("scoringUri"):
        raise RejectedError(f"Endpoint {name} cannot be called: it does not exist or is not ready.")
    mode = properties.get("authMode", "Key").lower()
    if mode == "aadtoken":
        return properties["scoringUri"], token()
    if mode == "amltoken":
        made = rest.post(f"{endpoint}/token", **{"api-version": _ENDPOINTS})
        return properties["scoringUri"], made["accessToken"]
    keys = rest.post(f"{endpoint}/listKeys", **{"api-version": _ENDPOINTS})
    return properties["scoringUri"], keys["primaryKey"]


def answers(address: str, key: str, deployment: str | None, requests: Iterable[Any]) -> Iterator[Answer]:
    """The answer to each request (any JSON value). Requests are sent lazily, all over one connection."""
    headers = {"Authorization": f"Bearer {key}"}
    if deployment:
        headers["azureml-model-deployment"] = deployment
    policies = [RequestIdPolicy(), UserAgentPolicy(sdk_moniker="mlpromote")]
    client: PipelineClient[HttpRequest, HttpResponse] = PipelineClient(
        address, policies=policies, connection_timeout=CONNECTION_TIMEOUT, read_timeout=ANSWER_TIMEOUT
    )
    with client:
        for request in requests:
            started = time.perf_counter()
            try:
                response = client.send_request(HttpRequest("POST", address, headers=headers, json=request))
            except ServiceResponseTimeoutError:
                yield Answer(408, f"no answer within {ANSWER_TIMEOUT} s", time.perf_counter() - started)
                continue
            seconds = time.perf_counter() - started
            yield Answer(response.status_code, response.text()[:LONGEST_ANSWER], seconds)
