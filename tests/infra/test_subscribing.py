"""The hook that subscribes the app when it is deployed, with a stand-in for the Azure CLI."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.infra.shapes import INFRA, REPOSITORY

SCRIPT = INFRA / "subscribe.sh"
CHECK = INFRA / "check-bicep.sh"
MOST = 5
AZD = {
    "EVENT_SOURCES": '[{"name":"dev","source":true,"workspace":"/subscriptions/s"}]',
    "AZURE_SUBSCRIPTION_ID": "s",
    "AZURE_LOCATION": "westeurope",
    "AZURE_ENV_NAME": "promote",
    "AZURE_RESOURCE_GROUP": "rg",
    "FUNCTION_APP_ID": "/app",
    "FUNCTION_APP_NAME": "app",
    "FUNCTION_APP_URL": "https://app.test",
    "DEAD_LETTER_STORAGE_ID": "/storage",
    "DEAD_LETTER_IDENTITY_ID": "/identity",
    "SUBSCRIBE_PAUSE": "0",
}
BICEP = "Bicep CLI version 0.33.93 (7a77c7f1a5)"
#: Prints its Bicep's version. Fails as often as the file `failures` has lines, and notes how it was called.
STAND_IN = """#!/bin/sh
cd "$(dirname "$0")"
if [ "$1 $2" = "bicep version" ]; then cat bicep; exit "$(cat bicep-exit)"; fi
wanted="functionapp function keys list --subscription s --resource-group rg --name app --function-name take_events"
case "$*" in "$wanted "*) echo the+key==; exit;; esac
for each in "$@"; do case "$each" in @*) cp "${each#@}" parameters; ls -l "${each#@}" > rights;; esac; done
printf '%s\\n' "$*" >> calls
[ "$(wc -l < calls)" -gt "$(wc -l < failures)" ] || { echo "the function is not there" >&2; exit 3; }
"""


@dataclass
class CommandLine:
    """A folder with a stand-in for `az`."""

    folder: Path

    def run(
        self, failures: int = 0, script: Path = SCRIPT, bicep: str = BICEP, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """`bicep`: what it says of its Bicep's version; empty where it has none."""
        (self.folder / "failures").write_text("x\n" * failures)
        (self.folder / "bicep").write_text(f"{bicep}\n" if bicep else "ERROR: Bicep CLI not found.\n")
        (self.folder / "bicep-exit").write_text("0" if bicep else "1")
        environment = {"PATH": f"{self.folder}:/usr/bin:/bin", **AZD, **more}
        return subprocess.run(["sh", str(script)], env=environment, capture_output=True, text=True, check=False)

    @property
    def calls(self) -> list[str]:
        noted = self.folder / "calls"
        return noted.read_text().splitlines() if noted.exists() else []


@pytest.fixture
def az(tmp_path: Path) -> CommandLine:
    (tmp_path / "az").write_text(STAND_IN)
    (tmp_path / "az").chmod(0o755)
    return CommandLine(tmp_path)


def test_it_deploys_the_subscriptions_with_what_azd_knows(az: CommandLine) -> None:
    answer = az.run()
    assert answer.returncode == 0, answer.stderr
    (call,) = az.calls
    assert call.startswith("deployment sub create --subscription s --location westeurope")
    assert (
        f"--template-file {INFRA}/events.bicep --parameters sources={AZD['EVENT_SOURCES']} functionAppId=/app" in call
    )


def test_the_address_with_its_key_is_shown_to_nobody_and_left_nowhere(az: CommandLine) -> None:
    answer = az.run()
    (call,) = az.calls
    given = json.loads((az.folder / "parameters").read_text())
    assert given == {"webhook": {"value": "https://app.test/api/events?code=the%2Bkey=="}}
    assert "key==" not in call + answer.stdout + answer.stderr
    rights, *_, file = (az.folder / "rights").read_text().split()
    assert rights.startswith("-rw-------")
    assert not Path(file).exists()


def test_it_tries_again_as_azure_may_not_know_the_function_yet(az: CommandLine) -> None:
    answer = az.run(failures=2)
    assert (answer.returncode, len(az.calls)) == (0, 3)
    assert "Attempt 2 of 5 to subscribe failed" in answer.stderr


def test_it_gives_up_in_the_end_and_says_what_to_do(az: CommandLine) -> None:
    answer = az.run(failures=100)
    assert (answer.returncode, len(az.calls)) == (1, MOST)
    assert "gets no events" in answer.stderr.splitlines()[-1]
    assert answer.stderr.splitlines()[-1].endswith("azd hooks run postdeploy --service mlpromote")


def test_pauses_grow(az: CommandLine) -> None:
    (az.folder / "sleep").write_text(f'#!/bin/sh\necho "$1" >> {az.folder}/pauses\n')
    (az.folder / "sleep").chmod(0o755)
    az.run(failures=100, SUBSCRIBE_PAUSE="15")
    assert (az.folder / "pauses").read_text().split() == ["15", "30", "60", "120"]


def test_a_worker_alone_has_nothing_to_subscribe_to(az: CommandLine) -> None:
    for sources in ("", "[]"):
        assert az.run(EVENT_SOURCES=sources).returncode == 0
    assert az.calls == []


def test_a_machine_without_the_azure_cli_is_told_what_to_install(tmp_path: Path) -> None:
    for tool in ("sh", "dirname"):
        (tmp_path / tool).symlink_to(
            next(Path(each) / tool for each in os.defpath.split(":") if (Path(each) / tool).exists())
        )
    answer = subprocess.run(
        [str(tmp_path / "sh"), str(SCRIPT)], env={**AZD, "PATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert answer.returncode == 1
    assert "install the Azure CLI" in answer.stderr


def test_the_bicep_is_looked_at_before_anything_is_made() -> None:
    hooks = yaml.safe_load((REPOSITORY / "azure.yaml").read_text())["hooks"]
    assert REPOSITORY / hooks["preprovision"]["run"] == CHECK
    assert CHECK.stat().st_mode & 0o100


@pytest.mark.parametrize("bicep", [BICEP, BICEP.replace("0.33", "0.101"), BICEP.replace("0.33", "1.0")])
def test_a_bicep_that_is_new_enough_passes(bicep: str, az: CommandLine) -> None:
    assert az.run(script=CHECK, bicep=bicep).returncode == 0


@pytest.mark.parametrize("script", [CHECK, SCRIPT], ids=lambda script: script.name)
@pytest.mark.parametrize("bicep", [BICEP.replace("0.33", "0.32"), BICEP.replace("0.33", "0.4"), "", "something else"])
def test_one_that_is_not_is_told_how_to_upgrade_and_nothing_is_deployed(
    bicep: str, script: Path, az: CommandLine
) -> None:
    answer = az.run(script=script, bicep=bicep)
    assert (answer.returncode, az.calls) == (1, [])
    assert "needs Bicep 0.33 or later" in answer.stderr
    assert "az bicep upgrade" in answer.stderr


def test_a_worker_alone_needs_no_azure_cli(az: CommandLine) -> None:
    assert az.run(script=CHECK, bicep="", MLPROMOTE_ROLES="worker").returncode == 0
