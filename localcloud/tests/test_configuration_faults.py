"""What a faulty configuration file is told: the file, the place, and what to write there."""

from pathlib import Path

import pytest

from localcloud.configuration_file import ConfigurationError, read_configuration
from localcloud.up.description import Description

ENVIRONMENT = "{subscription: s, resource_group: g, workspace: ws-dev}"
VALID = f"registry: contoso\nenvironments: {{dev: {ENVIRONMENT}}}\n"

#: Words of pydantic or Python that mean nothing to the author of a file.
JARGON = ("Input", "Extra inputs", "Field required", "Value error", "dictionary", "tuple", "instance of", "pydantic")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (
            "enviroments: {}\n" + VALID,
            "enviroments: unknown key; did you mean 'environments'? Known here: app, ",
        ),
        (VALID + "zzz: 1", "zzz: unknown key; known here: app, azureml, deployment_seconds, "),
        (
            VALID.replace("workspace:", "workspce:"),
            "environments.dev.workspce: unknown key; did you mean 'workspace'? Known here: computes,"
            " location, reads_quota, reads_subscription, resource_group, subscription, workspace",
        ),
        (
            VALID + "queues: [jobs, {nam: x}]",
            "queues[1].nam: unknown key; did you mean 'name'? Known here: name, properties",
        ),
        (
            VALID + "event_subscriptions: {function: f, shema: EventGrid}",
            "event_subscriptions.shema: unknown key; did you mean 'schema'?",
        ),
        (
            VALID + "app: {folders: x}",
            "app.folders: unknown key; did you mean 'folder'? Known here: check, folder, settings",
        ),
        ("registry: contoso", "environments: is missing"),
        (VALID + "queues: jobs", "queues: must be a list, not 'jobs'"),
        (VALID + "app: here", "app: must have keys and values, not 'here'"),
        (VALID + "deployment_seconds: -1", "deployment_seconds: must be at least 0, not -1"),
        (VALID + "deployment_seconds: soon", "deployment_seconds: must be a number, not 'soon'"),
        (VALID + "retry_pauses: [0]", "retry_pauses[0]: must be greater than 0, not 0"),
        (VALID + "hints: [1]", "hints[0]: must be text, not 1"),
        (VALID + "people: {1a: {}}", "people.1a: the key '1a' is not allowed: it must match"),
        (VALID + "registry_writers: [prod]", "registry_writers: there is no environment 'prod'"),
        (
            VALID + "event_subscriptions: {function: f, schema: Mine}",
            "event_subscriptions.schema: must be 'EventGrid' or 'CloudEvents', not 'Mine'",
        ),
        (
            VALID + "event_subscriptions: {function: f, max_events_per_batch: x}",
            "event_subscriptions.max_events_per_batch: must be a whole number, not 'x'",
        ),
        ("[]", "must have keys and values, not []"),
    ],
)
def test_a_fault_names_the_file_the_place_and_what_is_known_there(tmp_path: Path, content: str, fault: str) -> None:
    file = tmp_path / "localcloud.yml"
    file.write_text(content)
    with pytest.raises(ConfigurationError) as refusal:
        read_configuration(file, Description)
    told = str(refusal.value).splitlines()
    assert any(line.startswith(f"{file}: {fault}") for line in told), told
    assert not [word for word in JARGON if word in str(refusal.value)]


def test_every_fault_is_reported_at_once(tmp_path: Path) -> None:
    file = tmp_path / "localcloud.yml"
    file.write_text("registri: contoso\nqueues: jobs\n")
    with pytest.raises(ConfigurationError) as refusal:
        read_configuration(file, Description)
    assert [line.removeprefix(f"{file}: ").partition(":")[0] for line in str(refusal.value).splitlines()] == [
        "registry",
        "environments",
        "queues",
        "registri",
    ]
