"""Settings, connections and host.json."""

import json
import logging
import os
from pathlib import Path

import pytest

from localcloud.functions.definition import HostError
from localcloud.functions.host_json import load_host_configuration
from localcloud.functions.json_file import read_json_file
from localcloud.functions.settings import (
    is_disabled,
    load_local_settings,
    replace_placeholders,
    service_bus_connection,
)

CONNECTION = "Endpoint=sb://localhost;SharedAccessKeyName=name;SharedAccessKey=the-secret=="


def test_placeholders_are_replaced() -> None:
    assert replace_placeholders("steps-%ENVIRONMENT%-%N%", {"ENVIRONMENT": "dev", "N": "1"}) == "steps-dev-1"


def test_missing_placeholder_is_named() -> None:
    with pytest.raises(HostError, match="'QUEUE' is missing"):
        replace_placeholders("%QUEUE%", {})


def test_connection_with_the_web_jobs_prefix_comes_first() -> None:
    first, second = f"{CONNECTION};EntityPath=first", f"{CONNECTION};EntityPath=second"
    settings = {"AzureWebJobsBUS": first, "BUS": second}
    assert service_bus_connection("BUS", settings).connection_string == first
    assert service_bus_connection("BUS", {"BUS": second}).connection_string == second


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


@pytest.mark.parametrize(
    "text", ["the-secret", CONNECTION.replace("Endpoint=sb://", ""), CONNECTION.replace("SharedAccessKeyName", "Name")]
)
def test_text_that_is_no_connection_string_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(HostError, match="The setting 'BUS' is not a Service Bus connection string") as refusal:
        service_bus_connection("BUS", {"BUS": text})
    assert "the-secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("settings", "disabled"),
    [
        ({"AzureWebJobs.Tick.Disabled": "true"}, True),
        ({"AZUREWEBJOBS.TICK.DISABLED": "True"}, True),
        ({"AzureWebJobs_Tick_Disabled": "1"}, True),
        ({"AzureWebJobs.Tick.Disabled": "false"}, False),
        ({"AzureWebJobs.Tock.Disabled": "true"}, False),
    ],
)
def test_a_setting_disables_a_function(settings: dict[str, str], disabled: bool) -> None:
    assert is_disabled("tick", settings) is disabled


def test_comments_trailing_commas_and_a_byte_order_mark_pass_in_json(tmp_path: Path) -> None:
    file = tmp_path / "host.json"
    file.write_text(
        r"""// The host's file
        {"version": "2.0", /* two
        lines */ "a": ["http://x", "/* no comment */", "\\",], // end
        "b": {"c": ",]",},}""",
        "utf-8-sig",
    )
    assert read_json_file(file) == {
        "version": "2.0",
        "a": ["http://x", "/* no comment */", "\\"],
        "b": {"c": ",]"},
    }


def test_the_place_of_a_fault_in_json_counts_comments_too(tmp_path: Path) -> None:
    file = tmp_path / "host.json"
    file.write_text("/* one\n two */\n  }")
    with pytest.raises(HostError, match=r"is not valid JSON: .*line 3 column 3"):
        read_json_file(file)


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
    ("rules", "category", "least"),
    [
        ({}, "Function.tick.User", logging.INFO),
        ({"default": "Warning"}, "", logging.WARNING),
        ({"Default": "Warning", "Function": "debug"}, "Function.tick.User", logging.DEBUG),
        ({"function.tick": "Error", "Function": "Debug"}, "Function.tick.User", logging.ERROR),
        ({"function.tick": "Error", "Function": "Debug"}, "Function.tock.User", logging.DEBUG),
        ({"Function.tick.User": "None"}, "Function.tick.User", logging.CRITICAL + 10),
        ({"Function.tick.User": "None"}, "Function.tick", logging.INFO),
    ],
)
def test_the_longest_category_that_fits_decides_on_the_log_level(
    tmp_path: Path, rules: dict[str, str], category: str, least: int
) -> None:
    content = {"version": "2.0", "logging": {"logLevel": rules}}
    assert load_host_configuration(write_host_json(tmp_path, content)).log_levels.least(category) == least


def test_a_setting_replaces_a_log_level_of_host_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AzureFunctionsJobHost__Logging__LogLevel__Default", "Error")
    content = {"version": "2.0", "logging": {"logLevel": {"default": "Debug", "Host": "Debug"}}}
    levels = load_host_configuration(write_host_json(tmp_path, content)).log_levels
    assert (levels.least(""), levels.least("host.http")) == (logging.ERROR, logging.DEBUG)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({}, '"version" must be "2.0"'),
        ([], '"version" must be "2.0"'),
        ({"version": "2.0", "functionTimeout": "soon"}, "'soon' is not a time span"),
        ({"version": "2.0", "functionTimeout": 5}, "functionTimeout must be text, not 5"),
        ({"version": "2.0", "extensions": []}, r"extensions must be an object, not \[\]"),
        ({"version": "2.0", "extensions": {"http": None}}, "extensions.http must be an object, not None"),
        ({"version": "2.0", "extensions": {"http": {"routePrefix": 1}}}, "extensions.http.routePrefix must be text"),
        ({"version": "2.0", "extensions": {"serviceBus": {"maxConcurrentCalls": 0}}}, "maxConcurrentCalls must be"),
        ({"version": "2.0", "extensions": {"serviceBus": {"autoCompleteMessages": "no"}}}, "must be true or false"),
        ({"version": "2.0", "logging": {"logLevel": "Debug"}}, "logging.logLevel must be an object, not 'Debug'"),
        ({"version": "2.0", "logging": {"logLevel": {"A": 1}}}, "logging.logLevel.A must be text, not 1"),
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
        ('{"Values": {"A": {"B": "1"}}}', "the value of 'A' must be a string"),
        ('{"IsEncrypted": true}', "is encrypted"),
        ("{", "is not valid JSON"),
    ],
)
def test_local_settings_of_another_form_are_refused_in_words(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "local.settings.json").write_text(text)
    with pytest.raises(HostError, match=reason):
        load_local_settings(tmp_path)


def test_numbers_and_truth_values_in_local_settings_become_text_and_null_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("A_NUMBER", "A_TRUTH", "A_NULL"):
        monkeypatch.setenv(name, "")  # so that what the loader sets is taken back after the test
        monkeypatch.delenv(name)
    (tmp_path / "local.settings.json").write_text('{"Values": {"A_NUMBER": 5, "A_TRUTH": true, "A_NULL": null}}')
    load_local_settings(tmp_path)
    assert [os.environ.get(name) for name in ("A_NUMBER", "A_TRUTH", "A_NULL")] == ["5", "True", None]
