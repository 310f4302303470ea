"""With shared access policies, a key is good for the queues that its policy names, and for nothing else."""

import hmac
import json
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote_plus

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusReceiver, ServiceBusSubQueue
from azure.servicebus.exceptions import ServiceBusAuthenticationError, ServiceBusAuthorizationError

from localcloud.configuration_file import ConfigurationError
from localcloud.servicebus.policies_file import EXAMPLE, read_policies
from localcloud.servicebus.shared_access import Claim, Grants, Policy, TokenRefusedError
from localcloud.testing.broker import BrokerProcess, write_config

from .conftest import bodies, receive

POLICIES = [
    {"name": "owner", "key": "the owner's", "listen": ["*"], "send": ["*"]},
    {"name": "worker", "key": "the worker's", "listen": ["commands"], "send": ["events"]},
]
KEYS = {each["name"]: str(each["key"]) for each in POLICIES}

Connect = Callable[..., ServiceBusClient]


@pytest.fixture(scope="module")
def connect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connect]:
    """Opens a client with a policy's key; retrying would only take time."""
    folder = tmp_path_factory.mktemp("guarded")
    access = folder / "policies.json"
    access.write_text(json.dumps({"policies": POLICIES}))
    config = write_config(folder / "Config.json", {"commands": {}, "events": {}})
    broker = BrokerProcess(folder, config, "--shared-access", str(access))
    clients = []

    def client_of(name: str, key: str = "") -> ServiceBusClient:
        connection_string = broker.connection_string_of(name, key or KEYS.get(name, "none"))
        clients.append(ServiceBusClient.from_connection_string(connection_string, retry_total=0))
        return clients[-1]

    yield client_of
    for client in clients:
        client.close()
    broker.close()


def test_a_key_is_good_for_what_its_policy_names(connect: Connect) -> None:
    owner, worker = connect("owner"), connect("worker")
    with owner.get_queue_sender("commands") as commands, worker.get_queue_receiver("commands") as receiver:
        commands.send_messages(ServiceBusMessage("work"))
        [received] = receive(receiver)
        receiver.dead_letter_message(received)
    with worker.get_queue_receiver("commands", sub_queue=ServiceBusSubQueue.DEAD_LETTER) as dead:
        assert bodies(receive(dead)) == ["work"]
    with worker.get_queue_sender("events") as events, owner.get_queue_receiver("events") as receiver:
        events.send_messages(ServiceBusMessage("done"))
        assert bodies(receive(receiver)) == ["done"]


def test_sending_where_the_policy_only_listens_is_refused(connect: Connect) -> None:
    with (
        pytest.raises(ServiceBusAuthorizationError, match=r"'Send' claim.*'commands'"),
        connect("worker").get_queue_sender("commands") as sender,
    ):
        sender.send_messages(ServiceBusMessage("forged"))


@pytest.mark.parametrize("dead", [None, ServiceBusSubQueue.DEAD_LETTER])
def test_listening_where_the_policy_only_sends_is_refused(connect: Connect, dead: ServiceBusSubQueue | None) -> None:
    def open_it() -> ServiceBusReceiver:
        return connect("worker").get_queue_receiver("events", sub_queue=dead)

    with pytest.raises(ServiceBusAuthorizationError, match="'Listen' claim"), open_it() as receiver:
        receiver.receive_messages()


def test_peeking_is_listening_and_scheduling_is_sending(connect: Connect) -> None:
    worker = connect("worker")
    with worker.get_queue_receiver("commands") as receiver:
        assert receiver.peek_messages() == []
    with worker.get_queue_sender("events") as sender:
        [number] = sender.schedule_messages(ServiceBusMessage("later"), _in_an_hour())
        sender.cancel_scheduled_messages(number)


@pytest.mark.parametrize(("name", "key"), [("worker", "another's"), ("nobody", "any")])
def test_a_wrong_key_and_an_unknown_policy_are_refused(connect: Connect, name: str, key: str) -> None:
    with (
        pytest.raises(ServiceBusAuthenticationError),
        connect(name, key).get_queue_sender("events") as sender,
    ):
        sender.send_messages(ServiceBusMessage("forged"))


def test_a_token_for_one_queue_is_not_one_for_another_whose_name_begins_alike() -> None:
    grants = Grants([Policy("all", "secret", ("*",), ("*",))])
    grants.show(_token("sb://localhost/steps-prod", "secret", 60))
    assert grants.allow(Claim.LISTEN, "Steps-Prod")
    assert grants.allow(Claim.LISTEN, "steps-prod/$deadletterqueue")
    assert not grants.allow(Claim.LISTEN, "steps-prod-2")


def test_a_token_of_the_namespace_is_one_of_every_queue() -> None:
    grants = Grants([Policy("all", "secret", ("*",), ("*",))])
    grants.show(_token("sb://localhost/", "secret", 60))
    assert grants.allow(Claim.SEND, "steps-prod")


@pytest.mark.parametrize(
    "token",
    ["", "Bearer a", None, "SharedAccessSignature sr=a&sig=b&skn=c", "SharedAccessSignature sr=a&sig=b&se=c&skn=d"],
)
def test_what_is_no_signature_is_refused(token: object) -> None:
    with pytest.raises(TokenRefusedError):
        Grants([Policy("all", "secret")]).show(token)


def test_an_expired_token_is_refused() -> None:
    with pytest.raises(TokenRefusedError, match="The token is expired"):
        Grants([Policy("all", "secret")]).show(_token("sb://localhost/q", "secret", -1))


def test_the_example_of_the_file_is_one(tmp_path: Path) -> None:
    file = tmp_path / "policies.json"
    file.write_text(EXAMPLE)
    assert [policy.name for policy in read_policies(file)] == ["RootManageSharedAccessKey", "worker"]


def test_every_fault_of_the_file_is_reported_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "policies.json"
    file.write_text(json.dumps({"policies": [{"name": "a", "sends": ["q"]}]}))
    with pytest.raises(ConfigurationError, match=r"policies\[0\]\.key: .*\n.*policies\[0\]\.sends: "):
        read_policies(file)


def _in_an_hour() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


def _token(resource: str, key: str, seconds: float) -> str:
    """Of the policy `all`, as the documentation of shared access signatures has it."""
    resource, expires = quote_plus(resource), int(time.time() + seconds)
    digest = hmac.digest(key.encode(), f"{resource}\n{expires}".encode(), "sha256")
    return f"SharedAccessSignature sr={resource}&sig={quote_plus(b64encode(digest))}&se={expires}&skn=all"
