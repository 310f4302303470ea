"""Which files a configuration names: each setting that is a file is one."""

import re
from pathlib import Path

from shared.config import named_paths

CONFIG = Path(named_paths.__file__).parent


def test_every_setting_that_names_a_file_is_followed() -> None:
    settings = {
        found for file in CONFIG.glob("*.py") for found in re.findall(r"^    (\w+): FilePath", file.read_text(), re.M)
    }
    assert {"deployment", "requests", "job", "definition"} <= settings
    assert settings <= named_paths.NAMES_YAML | named_paths.NAMES_CONTENT


def test_names_of_assets_addresses_and_server_routes_are_no_files() -> None:
    content = {
        "environment": "prod",
        "job": "azureml:measure:1",
        "component": "https://example.test/one.yml",
        "code": "azureml:code@latest",
        "inputs": {"data": {"path": "${{parent.inputs.x}}"}},
        "inference_config": {"liveness_route": {"path": "/live"}},
        "monitor": "drift",
    }
    assert list(named_paths.named(content)) == []


def test_files_are_found_at_every_depth_and_in_lists() -> None:
    content = {"stages": [{"deployment": "file:a.yml"}], "additional_includes": ["../library"], "b": {"path": "rows"}}
    assert sorted(named_paths.named(content)) == [
        ("additional_includes", "../library"),
        ("deployment", "a.yml"),
        ("path", "rows"),
    ]
