"""Settings, connections and host.json."""

import json
from pathlib import Path

import pytest

from localcloud.functions.definition import HostError
from localcloud.functions.host_json import load_host_configuration
from localcloud.functions.settings import load_local_settings, replace_placeholders, service_bus_connection


def test_placeholders_are_replaced() -> None:
    assert replace_placeholders("steps-%ENVIRONMENT%-%N%", {"ENVIRONMENT": "dev", "N": "1"}) == "steps-dev-1"


def test_missing_placeholder_is_named() -> None:
    with pytest.raises(HostError, match="'QUEUE' is missing"):
        replace_placeholders("%QUEUE%", {})


def test_connection_with_the_web_jobs_prefix_comes_first() -> None:
    settings = {"AzureWebJobsBUS": "first", "BUS": "second"}
    assert service_bus_connection("BUS", settings).connection_string == "first"
    assert service_bus_connection("BUS", {"BUS": "second"}).connection_string == "second"


def test_connection_may_name_an_identity() -> None:
    settings = {
        "BUS__fullyQualifiedNamespace": "b.servicebus.windows.net",
        "BUS__credential": "managedidentity",
        "BUS__clientId": "42",
    }
    connection = service_bus_connection("BUS", settings)
    assert (connection.namespace, connection.client_id) == ("b.servicebus.windows.net", "42")
    assert connection.managed_identity
    assert connection.connection_string is None


def test_missing_connection_says_what_to_set() -> None:
    with pytest.raises(HostError, match=r"'AzureWebJobsBUS' or 'BUS'.*'BUS__fullyQualifiedNamespace'"):
        service_bus_connection("BUS", {})


def write_host_json(folder: Path, content: object) -> Path:
    (folder / "host.json").write_text(json.dumps(content))
    return folder


def test_host_json_has_the_defaults_of_azure(tmp_path: Path) -> None:
    configuration = load_host_configuration(write_host_json(tmp_path, {"version": "2.0"}))
    assert configuration.route_prefix == "api"
    assert configuration.service_bus.prefetch_count == 0
    assert configuration.service_bus.complete_messages
    assert configuration.service_bus.concurrent_calls % 16 == 0
    assert configuration.service_bus.lock_renewal_duration == 300
    assert configuration.service_bus.batch_size == 1000


def test_host_json_is_read(tmp_path: Path) -> None:
    service_bus = {
        "prefetchCount": 5,
        "autoCompleteMessages": False,
        "maxConcurrentCalls": 2,
        "maxAutoLockRenewalDuration": "01:00:30",
        "maxMessageBatchSize": 7,
    }
    extensions = {"http": {"routePrefix": "/v1/"}, "serviceBus": service_bus}
    content = {"version": "2.0", "functionTimeout": "-1", "extensions": extensions}
    configuration = load_host_configuration(write_host_json(tmp_path, content))
    assert (configuration.route_prefix, configuration.function_timeout) == ("v1", None)
    limits = configuration.service_bus
    assert (limits.prefetch_count, limits.complete_messages, limits.concurrent_calls) == (5, False, 2)
    assert (limits.lock_renewal_duration, limits.batch_size) == (3630, 7)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({}, '"version" must be "2.0"'),
        ([], '"version" must be "2.0"'),
        ({"version": "2.0", "functionTimeout": "soon"}, "'soon' is no time span"),
        ({"version": "2.0", "functionTimeout": 5}, "functionTimeout must be text, not 5"),
        ({"version": "2.0", "extensions": []}, r"extensions must be an object, not \[\]"),
        ({"version": "2.0", "extensions": {"http": None}}, "extensions.http must be an object, not None"),
        ({"version": "2.0", "extensions": {"http": {"routePrefix": 1}}}, "extensions.http.routePrefix must be text"),
        ({"version": "2.0", "extensions": {"serviceBus": {"maxConcurrentCalls": 0}}}, "maxConcurrentCalls must be"),
        ({"version": "2.0", "extensions": {"serviceBus": {"autoCompleteMessages": "no"}}}, "must be true or false"),
        ({"version": "2.0", "logging": {"logLevel": "Debug"}}, "logging.logLevel must be an object, not 'Debug'"),
        ({"version": "2.0", "logging": {"logLevel": {"default": "Loud"}}}, "must be one of Trace, Debug.*not 'Loud'"),
    ],
)
def test_wrong_host_json_is_refused_with_the_reason(tmp_path: Path, content: object, reason: str) -> None:
    with pytest.raises(HostError, match=reason):
        load_host_configuration(write_host_json(tmp_path, content))


def test_folder_without_host_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="does not exist"):
        load_host_configuration(tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[]", "must be of the form"),
        ('{"Values": []}', "must be of the form"),
        ('{"Values": {"A": 1}}', "the value of 'A' must be a string"),
        ('{"IsEncrypted": true}', "is encrypted"),
        ("{", "is not valid JSON"),
    ],
)
def test_local_settings_of_another_form_are_refused_in_words(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "local.settings.json").write_text(text)
    with pytest.raises(HostError, match=reason):
        load_local_settings(tmp_path)
