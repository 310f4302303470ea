import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from shared.cloud.azureml import AzureMLWorkspace
from shared.cloud.azureml_errors import LONGEST_PAUSE, retry_after
from shared.ports import BusyError, ForbiddenError, RejectedError, UnavailableError
from tests.cloud.local_azure import REGISTRY, STRANGER, WORKER, LocalAzure, workspace_id

Call = Callable[[AzureMLWorkspace], object]
CALLS: list[Call] = [
    lambda workspace: workspace.model("m", "1"),
    lambda workspace: workspace.model_versions("m"),
    lambda workspace: workspace.job("j"),
    lambda workspace: workspace.endpoint("e"),
    lambda workspace: workspace.deployment("e", "d"),
    lambda workspace: workspace.deployments("e"),
    lambda workspace: workspace.start_endpoint("an-endpoint", {}),
    lambda workspace: workspace.start_removal("e", "d"),
    lambda workspace: workspace.start_traffic("e", {}, {}),
    lambda workspace: workspace.logs("e", "d", 1),
    lambda workspace: list(workspace.score("e", None, [1])),
]


@pytest.mark.parametrize("call", CALLS)
def test_without_a_role_every_call_is_forbidden_and_says_who_lacks_what(azure: LocalAzure, call: Call) -> None:
    with pytest.raises(ForbiddenError, match=f"Identity {STRANGER} in workspace ws-test.*AuthorizationFailed"):
        call(azure.workspace("test", STRANGER))


@pytest.mark.parametrize("call", CALLS)
def test_throttling_is_not_waited_for_and_keeps_the_pause_that_azure_asks_for(
    azure: LocalAzure, test: AzureMLWorkspace, call: Call
) -> None:
    azure.fault("throttling", retry_after=40, count=None)
    started = time.monotonic()
    with pytest.raises(UnavailableError) as throttled:
        call(test)
    assert time.monotonic() - started < 40
    assert throttled.value.retry_after == timedelta(seconds=40)
    assert not isinstance(throttled.value, BusyError)


@pytest.mark.parametrize("call", CALLS)
def test_a_fault_of_the_service_is_for_later(azure: LocalAzure, test: AzureMLWorkspace, call: Call) -> None:
    azure.fault("error", count=None)
    with pytest.raises(UnavailableError, match="500"):
        call(test)


def test_another_operation_under_way_is_for_later(azure: LocalAzure, test: AzureMLWorkspace) -> None:
    azure.fault("busy", match={"method": "PUT"})
    with pytest.raises(BusyError):
        test.start_endpoint("busy-endpoint", {})


def test_a_cloud_that_cannot_be_reached_is_for_later(azure: LocalAzure) -> None:
    nowhere = "https://localhost:9"
    cloud = {**azure.cloud, "name": "Nowhere", "resource_manager": nowhere, "registry_discovery_endpoint": nowhere}
    workspace = AzureMLWorkspace(workspace_id("test"), REGISTRY, WORKER, cloud)
    for call in CALLS:
        with pytest.raises(UnavailableError, match="cannot be reached"):
            call(workspace)
    with pytest.raises(UnavailableError, match="cannot be reached"):
        workspace.registry_model("m", "1")


def test_a_name_that_azure_refuses_is_rejected_in_words(test: AzureMLWorkspace) -> None:
    with pytest.raises(RejectedError, match="could not create endpoint 1_x"):
        test.start_endpoint("1_x", {})


def test_traffic_for_an_endpoint_that_does_not_exist_is_rejected(test: AzureMLWorkspace) -> None:
    with pytest.raises(RejectedError, match="could not set the traffic of endpoint nobody"):
        test.start_traffic("nobody", {}, {})


NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({"Retry-After": "17"}, timedelta(seconds=17)),
        ({"retry-after": " 0 "}, timedelta(0)),
        ({"Retry-After": "Fri, 20 Nov 2026 12:00:30 GMT"}, timedelta(seconds=30)),
        ({"Retry-After": "Fri, 20 Nov 2026 11:00:00 GMT"}, timedelta(0)),
        ({"Retry-After": "99999"}, LONGEST_PAUSE),
        ({"Retry-After": "9" * 400}, LONGEST_PAUSE),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-1"}, None),
        ({}, None),
    ],
)
def test_the_pause_is_read_in_seconds_or_as_a_date(headers: dict[str, str], pause: timedelta | None) -> None:
    assert retry_after(headers, NOW) == pause
