"""The file that `--shared-access` names."""

from pathlib import Path

from pydantic import Field, model_validator

from localcloud.configuration_file import Section, read_configuration
from localcloud.servicebus.shared_access import Policy

EXAMPLE = """\
{"policies": [
  {"name": "RootManageSharedAccessKey", "key": "a long secret", "listen": ["*"], "send": ["*"]},
  {"name": "worker", "key": "another one", "listen": ["jobs"], "send": ["outcomes"]}
]}"""


class _Policy(Section):
    name: str = Field(min_length=1)
    key: str = Field(min_length=1)
    listen: tuple[str, ...] = ()
    send: tuple[str, ...] = ()


class _Policies(Section):
    policies: tuple[_Policy, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> "_Policies":
        names = [policy.name for policy in self.policies]
        if len(set(names)) < len(names):
            raise ValueError("policies: names must be unique")
        return self


def read_policies(file: Path) -> list[Policy]:
    """The policies of a file like `EXAMPLE`; raises `localcloud.configuration_file.ConfigurationError`."""
    return [Policy(**each.model_dump()) for each in read_configuration(file, _Policies).policies]
