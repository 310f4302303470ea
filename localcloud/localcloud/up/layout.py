"""Everything derived from a description, the ports and the secrets: ids, addresses and environment variables."""

import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.configuration_file import ConfigurationError
from localcloud.identity.tokens import TENANT
from localcloud.up.description import Description
from localcloud.up.kept_secrets import Secrets
from localcloud.up.ports import Ports

#: The shared access policy that every namespace has.
ROOT_POLICY = "RootManageSharedAccessKey"

_IDENTITIES = uuid.UUID("5d1f7d4e-8f3b-4b5e-9a2e-53f2f5f0c6a1")


@dataclass(frozen=True)
class Layout:
    """One local cloud, completely determined. `data` is absolute."""

    description: Description
    ports: Ports
    secrets: Secrets
    data: Path

    @property
    def client_ids(self) -> dict[str, str]:
        """The client id of every environment's and every person's identity, by name; the same on every machine."""
        names = (*self.description.environments, *self.description.people)
        return {name: str(uuid.uuid5(_IDENTITIES, name)) for name in names}

    @property
    def workspace_ids(self) -> dict[str, str]:
        """The ARM id of every environment's workspace."""
        return {name: one.workspace_id for name, one in self.description.environments.items()}

    @property
    def topics(self) -> dict[str, str]:
        """The publish address of every environment's topic, which has its workspace's name."""
        base = self.eventgrid_url
        return {
            name: f"{base}/topics/{one.workspace}/api/events" for name, one in self.description.environments.items()
        }

    @property
    def own_topics(self) -> dict[str, str]:
        """The publish address of each of the app's own topics."""
        names = (topic.name for topic in self.description.topics)
        return {name: f"{self.eventgrid_url}/topics/{name}/api/events" for name in names}

    @property
    def eventgrid_url(self) -> str:
        """The address of the Event Grid part."""
        return f"http://127.0.0.1:{self.ports.eventgrid}"

    @property
    def functions_url(self) -> str:
        """The address of the app."""
        return f"http://127.0.0.1:{self.ports.functions}"

    @property
    def webhook(self) -> str:
        """The address at which the app receives events, with its key."""
        assert self.description.event_subscriptions is not None
        path = self.description.event_subscriptions.path
        if path:
            return f"{self.functions_url}/{path}?code={self.secrets.default_key}"
        function = self.description.event_subscriptions.function
        key = self.secrets.event_grid_key
        return f"{self.functions_url}/runtime/webhooks/eventgrid?functionName={function}&code={key}"

    @property
    def identity_endpoint(self) -> str:
        """The value of IDENTITY_ENDPOINT."""
        return f"http://127.0.0.1:{self.ports.identity}/msi/token"

    @property
    def authority(self) -> str:
        """The issuer of the tokens with which people sign in to the app."""
        return f"http://127.0.0.1:{self.ports.identity}"

    @property
    def app_registration(self) -> dict[str, str]:
        """What an app needs to verify these tokens, and a caller to ask for one."""
        client_id = str(uuid.uuid5(_IDENTITIES, "app registration"))
        resource = f"api://{client_id}"
        return {"authority": self.authority, "tenant": TENANT, "client_id": client_id, "resource": resource}

    @property
    def azureml_url(self) -> str:
        """Azure Resource Manager, and every data plane of Azure ML."""
        return f"https://localhost:{self.ports.azureml}"

    @property
    def ca_file(self) -> Path:
        """The certificate authority to trust, which the Azure ML part creates."""
        return self.data / "azureml" / "ca.pem"

    @property
    def connection_string(self) -> str:
        """The Service Bus namespace with the key for everything, in the form of Microsoft's emulator."""
        return self._connection_string(ROOT_POLICY, self.secrets.servicebus_key)

    @property
    def connection_strings(self) -> dict[str, str]:
        """The Service Bus namespace with the key of each shared access policy, by its name."""
        keys = self.secrets.shared_access_keys
        return {name: self._connection_string(name, keys[name]) for name in self.description.shared_access}

    def _connection_string(self, policy: str, key: str) -> str:
        return (
            f"Endpoint=sb://localhost:{self.ports.servicebus};SharedAccessKeyName={policy};"
            f"SharedAccessKey={key};UseDevelopmentEmulator=true;"
        )

    @property
    def cloud(self) -> dict[str, str]:
        """The endpoints that MLClient takes as `cloud_metadata`, and the cloud's name."""
        return {
            "name": "LocalCloud",
            "azure_portal": "https://portal.local.test/",
            "resource_manager": self.azureml_url,
            "active_directory": f"{self.azureml_url}/",
            "aml_resource_id": "https://ml.azure.test",
            "storage_endpoint": "storage.local.test",
            "registry_discovery_endpoint": f"{self.azureml_url}/",
        }

    @property
    def sign_in(self) -> dict[str, str]:
        """What any process needs to get tokens from this cloud and to trust it with the SDKs."""
        return {
            "IDENTITY_ENDPOINT": self.identity_endpoint,
            "IDENTITY_HEADER": self.secrets.identity_header,
            "REQUESTS_CA_BUNDLE": str(self.ca_file),
        }

    def by_hand(self, person: str) -> dict[str, str]:
        """The environment in which `MLClient(DefaultAzureCredential(), …)` works as this person or environment."""
        return {
            **self.sign_in,
            "AZURE_CLIENT_ID": self.client_ids[person],
            "ARM_CLOUD_METADATA_URL": f"{self.azureml_url}/metadata/endpoints?api-version=2019-05-01",
            "REGISTRY_DISCOVERY_ENDPOINT_URL": f"{self.azureml_url}/",
        }

    @property
    def people(self) -> dict[str, dict[str, Any]]:
        """The people who can sign in to the app, by name: client id for requesting a token, object id and app roles."""
        return {
            name: {
                "client_id": self.client_ids[name],
                "id": self.client_ids[name],  # as in the configuration of the identities: people have one id
                "roles": list(person.roles),
            }
            for name, person in self.description.people.items()
        }

    def app_settings(self) -> dict[str, str]:
        """What the app finds in its environment; raises `ConfigurationError` for unknown placeholders."""
        settings = {
            **self.sign_in,
            "SSL_CERT_FILE": str(self.ca_file),
        }
        return settings | self._described_settings()

    def _described_settings(self) -> dict[str, str]:
        app = self.description.app
        values = self._placeholders()
        filled, faults = {}, []
        for name, text in (app.settings if app else {}).items():
            try:
                filled[name] = text.format_map(values)
            except (KeyError, ValueError, IndexError, AttributeError) as error:
                faults.append(f"app.settings.{name}: cannot be filled in ({error}); known: {', '.join(values)}")
        if faults:
            raise ConfigurationError("\n".join(faults))
        return filled

    def _placeholders(self) -> dict[str, str]:
        values = {
            "servicebus_connection": self.connection_string,
            "functions_url": self.functions_url,
            "azureml_url": self.azureml_url,
            "azureml_cloud": json.dumps(self.cloud),
            "registry": self.description.registry,
            "data": str(self.data),
        }
        values |= {f"sign_in_{name}": text for name, text in self.app_registration.items()}
        values |= {f"servicebus_connection_{name}": text for name, text in self.connection_strings.items()}
        values |= {f"topic_{name}": address for name, address in self.own_topics.items()}
        values |= {f"topic_key_{name}": self.secrets.own_topic_keys[name] for name in self.own_topics}
        values |= {f"workspace_{name}": workspace for name, workspace in self.workspace_ids.items()}
        return values | {f"identity_{name}": client_id for name, client_id in self.client_ids.items()}

    def addresses(self, pids: dict[str, int]) -> dict[str, Any]:
        """The content of `addresses.json`: everything that a person, the demo or a test needs to use this cloud."""
        keys = {
            "master": self.secrets.master_key,
            "default": self.secrets.default_key,
            "eventgrid": self.secrets.event_grid_key,
        }
        return {
            "functions": {"url": self.functions_url, "keys": keys} if self.description.app else None,
            "servicebus": {
                "connection_string": self.connection_string,
                "connection_strings": self.connection_strings,
            },
            "azureml": {"url": self.azureml_url, "ca_file": str(self.ca_file), "cloud": self.cloud},
            "registry": self.description.registry,
            "workspaces": self.workspace_ids,
            "eventgrid": {
                "url": self.eventgrid_url,
                "topics": self.topics,
                "keys": self.secrets.topic_keys,
                "own_topics": self.own_topics,
                "own_keys": self.secrets.own_topic_keys,
            },
            "identity": {
                "endpoint": self.identity_endpoint,
                "header": self.secrets.identity_header,
                "client_ids": self.client_ids,
            },
            "sign_in": self.app_registration,
            "people": self.people,
            "by_hand": {name: self.by_hand(name) for name in self.client_ids},
            "app_settings": self.app_settings(),
            "ports": self.ports.__dict__,
            "pids": pids,
            "logs": str(self.data / "logs"),
        }
