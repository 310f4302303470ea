"""Leads Microsoft's tests to the local cloud, and tells how each of them ended.

A pytest plugin of its own process. The SDK that is tested stays as it is: it is only told other addresses for the cloud
that the tests name, and a credential that gives the local cloud's tokens. Pauses between two looks at what the service
does are shortened, since the local one needs milliseconds for what takes minutes on Azure.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

import azure.identity
import jwt
import pytest
from azure.ai.ml import _azure_environments
from azure.core.credentials import AccessToken

#: Beside this file: what their own tools would bring.
pytest_plugins = ("devtools_testutils.proxy_fixtures",)

ADDRESS = "LOCALCLOUD_ADDRESS"
OUTCOMES = "LOCALCLOUD_OUTCOMES"
LONGEST_PAUSE = 0.3  # seconds
_sleep = time.sleep


class LocalCredential:
    """Takes the place of the Azure CLI's sign-in."""

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        expiry = int(time.time()) + 3600
        audience = scopes[0].removesuffix("/.default").rstrip("/")
        claims = {"aud": audience, "appid": "tester", "oid": "object-tester", "tid": "tenant", "exp": expiry}
        return AccessToken(jwt.encode(claims, "any key is taken, this one is long enough", "HS256"), expiry)


# Before their conftest.py is imported, which takes these by name.
_address = os.environ[ADDRESS]
_azure_environments._environments[_azure_environments.AzureEnvironments.ENV_DEFAULT] = {
    "azure_portal": "https://portal.local.test/",
    "resource_manager": f"{_address}/",
    "active_directory": f"{_address}/",
    "aml_resource_id": "https://ml.local.test/",
    "storage_endpoint": "storage.local.test",
    "registry_discovery_endpoint": f"{_address}/",
}
setattr(azure.identity, "AzureCliCredential", LocalCredential)  # noqa: B010 - it is a class, not a variable
time.sleep = lambda seconds: _sleep(min(float(seconds), LONGEST_PAUSE))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """One line for each test: its id, how it ended, and the words of its failure."""
    if report.when != "call" and report.passed:
        return
    words = ""
    if report.failed:
        crash = getattr(report.longrepr, "reprcrash", None)
        words = crash.message if crash else str(report.longrepr)
    elif report.skipped and isinstance(report.longrepr, tuple):
        words = report.longrepr[2]
    line = json.dumps({"test": report.nodeid, "outcome": report.outcome, "words": words[:2000]})
    with Path(os.environ[OUTCOMES]).open("a", encoding="utf-8") as outcomes:
        outcomes.write(line + "\n")
