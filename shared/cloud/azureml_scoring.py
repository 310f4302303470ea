"""Asks an online endpoint.

By own POSTs: a deployment once named to azure-ai-ml's `invoke` stays named for every later caller of the process.
"""

import time
from collections.abc import Iterable, Iterator
from typing import Any

from azure.core import PipelineClient
from azure.core.exceptions import ServiceResponseTimeoutError
from azure.core.pipeline.policies import RequestIdPolicy, UserAgentPolicy
from azure.core.rest import HttpRequest, HttpResponse

from shared.cloud.azureml_rest import CONNECTION_TIMEOUT, Rest
from shared.ports import Answer, RejectedError

#: The version that azure-ai-ml 1.35 asks for.
_ENDPOINTS = "2022-02-01-preview"

#: Azure ends a request to a managed endpoint after at most 180 s; here less, because a function waits.
ANSWER_TIMEOUT = 30

#: How much of an answer is kept.
LONGEST_ANSWER = 1_000_000


def address_and_key(rest: Rest, endpoint: str) -> tuple[str, str]:
    """Where to ask the endpoint with this ARM id, and with which key."""
    name = endpoint.rsplit("/", 1)[1]
    found = rest.get(endpoint, **{"api-version": _ENDPOINTS})
    properties = (found or {}).get("properties", {})
    if not properties.get("scoringUri"):
        raise RejectedError(f"Endpoint {name} cannot be asked: it is not there, or not ready.")
    if properties.get("authMode", "Key").lower() != "key":
        raise RejectedError(f"Endpoint {name} wants {properties['authMode']}; only endpoints with keys can be asked.")
    keys = rest.post(f"{endpoint}/listKeys", **{"api-version": _ENDPOINTS})
    return properties["scoringUri"], keys["primaryKey"]


def answers(address: str, key: str, deployment: str | None, requests: Iterable[Any]) -> Iterator[Answer]:
    """The answer to each request (any JSON value), asked when the iterator gets to it, all over one connection."""
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
