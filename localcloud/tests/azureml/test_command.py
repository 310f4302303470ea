"""The command line, the configuration, and clients that know of it by environment variables only."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from localcloud.azureml.configuration import read_settings
from localcloud.configuration_file import ConfigurationError

from .conftest import ControlPlane, workspace_id

CLIENT = """
import sys, time, jwt
from azure.ai.ml import MLClient
from azure.core.credentials import AccessToken

class Credential:
    def get_token(self, *scopes, **_):
        return AccessToken(jwt.encode({"aud": scopes[0], "appid": "me"}, sys.argv[4], "HS256"), int(time.time()) + 99)

print(MLClient(Credential(), *sys.argv[1:4]).workspaces.get(sys.argv[3]).location)
print(MLClient(Credential(), registry_name="contoso-ml").models.list() is not None)
"""


def test_a_plain_client_works_with_environment_variables_only(cloud: ControlPlane, certificates: Path) -> None:
    environment = {
        "ARM_CLOUD_METADATA_URL": f"{cloud.base_url}/metadata/endpoints?api-version=2019-05-01",
        "REGISTRY_DISCOVERY_ENDPOINT_URL": f"{cloud.base_url}/",
        "REQUESTS_CA_BUNDLE": str(certificates / "ca.pem"),
        "PATH": "",
    }
    key = (cloud.folder / "token.key").read_text()
    arguments = [workspace_id("ws-dev").split("/")[2], "rg-ws-dev", "ws-dev", key]
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CLIENT, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=3000,
        check=False,
    )
    assert ended.stdout.split() == ["westeurope", "True"], ended.stderr


def test_all_faults_of_a_configuration_are_reported_at_once_with_their_place(tmp_path: Path) -> None:
    file = tmp_path / "config.yml"
    file.write_text(
        "workspaces:\n  - {id: ws-dev}\n  - {id: /subscriptions/s, colour: red}\ndeployment_seconds: -1\n"
        "registries: [{name: '!'}]\nfaults: [{kind: earthquake}]\n"
    )
    with pytest.raises(ConfigurationError) as told:
        read_settings(file)
    for place in (
        "workspaces[0].id: ",
        "workspaces[1].id: ",
        "workspaces[1].colour: ",
        "deployment_seconds: ",
        "registries[0].name: ",
        "faults[0].kind: ",
    ):
        assert place in str(told.value)


def test_workspaces_of_one_name_and_a_missing_interpreter_are_reported(tmp_path: Path) -> None:
    twice = [{"id": workspace_id("ws-dev")}, {"id": workspace_id("ws-dev").replace("rg-", "other-")}]
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"workspaces": twice}))
    with pytest.raises(ConfigurationError, match="names of workspaces must be unique"):
        read_settings(file)
    file.write_text(json.dumps({"workspaces": twice[:1], "python": "no/python"}))
    with pytest.raises(ConfigurationError, match="there is no interpreter"):
        read_settings(file)


def refused_with(cloud: ControlPlane, data: Path) -> str:
    """What the command writes when it does not start with that folder."""
    command = ["-m", "localcloud", "azureml", "--port", "0", "--data", str(data)]
    refused = subprocess.run(
        [sys.executable, *command, "--config", str(cloud.folder / "config.json")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert refused.returncode != 0
    return refused.stderr


def test_a_second_control_plane_keeps_off_the_folder(cloud: ControlPlane) -> None:
    assert "Another local Azure ML is using" in refused_with(cloud, cloud.data)


def test_a_folder_that_cannot_be_is_reported_in_a_sentence(cloud: ControlPlane, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    words = refused_with(cloud, tmp_path / "file")
    assert words == f"The folder {tmp_path / 'file'} cannot be used: File exists. Choose another.\n"
