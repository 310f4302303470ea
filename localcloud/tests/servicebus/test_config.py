"""The `Config.json` of Microsoft's emulator: what is read from it, and what is said about its faults."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from localcloud.servicebus.config import ConfigurationError, QueueSettings, read_config


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "Config.json"


def write(path: Path, *queues: Any, **namespace: Any) -> Path:
    document = {"Namespaces": [{"Name": "sbemulatorns", "Queues": list(queues), **namespace}]}
    path.write_text(json.dumps({"UserConfig": {**document, "Logging": {"Type": "File"}}}))
    return path


def faults(path: Path) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read_config(path)
    return caught.value.faults


def fault_of(path: Path, **properties: Any) -> str:
    [fault] = faults(write(path, {"Name": "q", "Properties": properties}))
    return fault.removeprefix("UserConfig.Namespaces[0].Queues[0].Properties.")


def test_every_property_of_the_emulator_is_read(path: Path) -> None:
    properties = {
        "DeadLetteringOnMessageExpiration": True,
        "DefaultMessageTimeToLive": "P1DT1H",
        "DuplicateDetectionHistoryTimeWindow": "PT20S",
        "ForwardDeadLetteredMessagesTo": "",
        "ForwardTo": "",
        "LockDuration": "PT1M30.5S",
        "MaxDeliveryCount": 3,
        "RequiresDuplicateDetection": True,
        "RequiresSession": True,
    }
    assert read_config(write(path, {"Name": "a/queue.1", "Properties": properties})) == [
        QueueSettings(
            name="a/queue.1",
            lock_duration=90.5,
            max_delivery_count=3,
            default_time_to_live=90_000,
            dead_letter_expired=True,
            duplicate_detection_window=20,
            requires_session=True,
        )
    ]


def test_comments_are_allowed_as_in_the_emulator_s_own_example(path: Path) -> None:
    path.write_text(
        """{"$schema": "https://localhost/Config-schema.json", // for editors
        "UserConfig": {"Namespaces": [{"Name": "sbemulatorns",
        /* "Topics": [],
        */ "Queues": [{"Name": "q" // not the "queue"
        }]}]}}"""
    )
    assert read_config(path) == [QueueSettings(name="q")]


def test_a_fault_after_a_comment_has_its_place(path: Path) -> None:
    path.write_text('{ // "one"\n/* two\n*/ oops')
    assert "line 3 column 4" in faults(path)[0]


def test_a_queue_without_properties_has_the_service_s_defaults(path: Path) -> None:
    assert read_config(write(path, {"Name": "q"})) == [
        QueueSettings("q", lock_duration=60, max_delivery_count=10, default_time_to_live=None)
    ]


def test_the_window_counts_only_where_duplicates_are_detected(path: Path) -> None:
    [queue] = read_config(write(path, {"Name": "q", "Properties": {"DuplicateDetectionHistoryTimeWindow": "PT20S"}}))
    assert queue.duplicate_detection_window is None


def test_what_only_microsofts_emulator_has_is_left_out_with_a_warning(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(
        path,
        {"Name": "plain"},
        {"Name": "forwarding", "Properties": {"ForwardTo": "other"}},
        {"Name": "sent-on", "Properties": {"ForwardTo": "plain", "ForwardDeadLetteredMessagesTo": "plain"}},
        Topics=[{"Name": "topic.1", "Properties": {}, "Subscriptions": [{"Name": "subscription.1"}]}],
    )
    assert [queue.name for queue in read_config(path)] == ["plain"]
    assert [record.getMessage().removeprefix(f"{path}: ") for record in caplog.records] == [
        "the topics are left out (1): this broker has queues only",
        "the queue forwarding is left out: it has ForwardTo, which this broker does not support",
        "the queue sent-on is left out: it has ForwardTo and ForwardDeadLetteredMessagesTo, which this broker does"
        " not support",
    ]


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"LockDuration": "1 minute"}, "LockDuration: '1 minute' is not an ISO 8601 duration"),
        ({"LockDuration": "PT"}, "LockDuration: 'PT' is not an ISO 8601 duration"),
        ({"LockDuration": 60}, "LockDuration: 60 is not an ISO 8601 duration"),
        ({"LockDuration": "PT0S"}, "LockDuration: PT0S must be positive"),
        ({"LockDuration": "PT6M"}, "LockDuration: PT6M is longer than the maximum, 300 seconds"),
        ({"DuplicateDetectionHistoryTimeWindow": "P8D"}, "DuplicateDetectionHistoryTimeWindow: P8D is longer"),
        ({"MaxDeliveryCount": 0}, "MaxDeliveryCount: 0 must be a whole number from 1 to 2000"),
        ({"MaxDeliveryCount": True}, "MaxDeliveryCount: True must be a whole number"),
        ({"RequiresDuplicateDetection": "yes"}, "RequiresDuplicateDetection: 'yes' must be true or false"),
        ({"LockDuraton": "PT1M"}, "LockDuraton: unknown; known here: DeadLetteringOnMessageExpiration"),
    ],
)
def test_a_faulty_property_is_named(path: Path, properties: dict[str, Any], expected: str) -> None:
    assert fault_of(path, **properties).startswith(expected)


def test_all_faults_are_reported_at_once(path: Path) -> None:
    first = {"Name": "q", "Properties": {"MaxDeliveryCount": -1, "RequiresDuplicateDetection": 1}}
    found = faults(write(path, first, {"Name": "Q"}, {"Name": "not good"}, "what", Topics={}, Size=1))
    assert sorted(fault.partition(": ")[0].removeprefix("UserConfig.Namespaces[0].") for fault in found) == [
        "Queues[0].Properties.MaxDeliveryCount",
        "Queues[0].Properties.RequiresDuplicateDetection",
        "Queues[1].Name",
        "Queues[2].Name",
        "Queues[3]",
        "Size",
        "Topics",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "not valid JSON"),
        ("[]", "(document): must be an object"),
        ("{}", "UserConfig: an object is missing"),
        ('{"UserConfig": {}}', "UserConfig.Namespaces: a namespace with its queues is missing"),
        ('{"UserConfig": {"Namespaces": [{"Name": "a"}, {"Name": "b"}]}}', "UserConfig.Namespaces: only one namespace"),
        ('{"UserConfig": {"Namespaces": {}}}', "UserConfig.Namespaces: must be a list"),
    ],
)
def test_a_document_of_another_shape_is_refused(path: Path, text: str, expected: str) -> None:
    path.write_text(text)
    assert any(fault.startswith(expected) for fault in faults(path))


def test_a_missing_file_is_a_fault(path: Path) -> None:
    assert faults(path) == ["cannot be read: No such file or directory"]


def test_the_command_ends_with_the_faults_and_no_traceback(path: Path, tmp_path: Path) -> None:
    write(path, {"Name": "q", "Properties": {"MaxDeliveryCount": -1, "LockDuration": "soon"}})
    command = [sys.executable, "-m", "localcloud", "servicebus", "--port", "0", "--data", str(tmp_path / "data")]
    ended = subprocess.run([*command, "--config", str(path)], capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    assert "Queues[0].Properties.MaxDeliveryCount: -1 must be a whole number" in ended.stderr
    assert "Queues[0].Properties.LockDuration: 'soon' is not an ISO 8601 duration" in ended.stderr
