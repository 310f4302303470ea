"""Missing and wrong parameters are reported, with what to do, before anything is created."""

import json
import re
from typing import Any

import pytest

from tests.infra.deployed import RefusedError, Scope
from tests.infra.deployment import deploy
from tests.infra.shapes import CODE_STORAGE, INFRA, NAMES, REGISTRY, SIGN_IN, deployed, worker, workspace


def environment(name: str = "dev", **more: Any) -> dict[str, Any]:
    return {"name": name, "workspace": workspace(name), "source": name == "dev", **more}


@pytest.mark.parametrize("deployment_role", ["all", "coordinator"])
def test_a_workspace_that_is_missing_is_named_with_its_setting(deployment_role: str) -> None:
    environments = [environment(), environment("test", workspace="")]
    with pytest.raises(RefusedError, match=r"workspace of test \(TEST_WORKSPACE\) is \"\", which is not an ARM id"):
        deployed(deployment_role, environments=environments)


def test_a_worker_of_an_unknown_environment_gets_the_known_ones() -> None:
    for name in ("", "pord"):
        with pytest.raises(RefusedError, match=rf'WORKER_OF\) is "{name}" but must be one of: dev, test, prod'):
            worker("prod", workerOf=name)


@pytest.mark.parametrize("name", NAMES)
def test_a_worker_needs_the_whole_id_of_the_shared_namespace(name: str) -> None:
    for given in ("", "sb-mlpromote", "sb-mlpromote.servicebus.windows.net"):
        with pytest.raises(RefusedError, match=r"SERVICE_BUS_NAMESPACE\) is \".*\", which is not an ARM id"):
            worker(name, serviceBusNamespace=given)


@pytest.mark.parametrize("deployment_role", ["all", "worker"])
def test_the_registry_is_given_by_its_id_not_by_its_name(deployment_role: str) -> None:
    deploy = deployed if deployment_role == "all" else worker
    with pytest.raises(RefusedError, match=r"REGISTRY\) is \"contoso-ml\", which is not an ARM id"):
        deploy("all" if deployment_role == "all" else "prod", registry="contoso-ml")


@pytest.mark.parametrize("given", ["", "mlpromote", "api://00000000-0000-0000-0000-0000000000aa"])
def test_without_an_app_registration_nothing_is_made(given: str) -> None:
    for deployment_role in ("all", "coordinator"):
        with pytest.raises(RefusedError, match=rf"SIGN_IN_CLIENT_ID\) is \"{given}\", which is not a client id"):
            deployed(deployment_role, signInClientId=given)
    with pytest.raises(RefusedError, match="Without one nobody could sign in"):
        worker("prod", signInClientId=given)


@pytest.mark.parametrize("name", ["REGISTRY", "SIGN_IN_CLIENT_ID"])
def test_a_missing_parameter_gets_our_message_and_azd_does_not_prompt_for_it(name: str) -> None:
    """azd leaves a parameter out whose variable is not set, and asks for one that has no default."""
    given = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]
    (parameter,) = [key for key, value in given.items() if str(value["value"]).startswith(f"${{{name}")]
    everything = {
        "environmentName": "promote",
        "location": "westeurope",
        "environments": [environment()],
        "registry": REGISTRY,
        "signInClientId": SIGN_IN,
    }
    del everything[parameter]
    with pytest.raises(RefusedError, match=rf'\({name}\) is ""'):
        deploy(INFRA / "main.bicep", Scope("sub-shared"), everything)


def test_so_is_the_storage_account_for_code() -> None:
    deployed(environments=[environment(codeStorage=CODE_STORAGE)])
    with pytest.raises(RefusedError, match=r"codeStorage of dev is \"stdev\", which is not an ARM id"):
        deployed(environments=[environment(codeStorage="stdev")])


def test_the_hint_at_the_form_is_an_id_by_its_form() -> None:
    with pytest.raises(RefusedError) as refused:
        deployed(registry="contoso-ml")
    assert len(str(refused.value).rpartition(": ")[2].split("/")) == 9


@pytest.mark.parametrize("name", ["app", "dead-letters"])
def test_no_environment_has_the_name_of_another_identity(name: str) -> None:
    with pytest.raises(RefusedError, match=f"An environment cannot be named {name}"):
        deployed(environments=[environment(), environment(name)])


def test_what_to_set_is_named_as_azd_knows_it() -> None:
    said = set(re.findall(r"\(([A-Z_]+)\) is", (INFRA / "main.bicep").read_text()))
    said |= set(re.findall(r"'\w+ \(([A-Z_]+)\)'", (INFRA / "main.bicep").read_text()))
    known = set(re.findall(r"\$\{(\w+)[=}]", (INFRA / "main.parameters.json").read_text()))
    assert said == {
        "WORKER_OF",
        "SERVICE_BUS_NAMESPACE",
        "BUNDLE_STORAGE",
        "REGISTRY",
        "SIGN_IN_CLIENT_ID",
        "SANDBOX_DATA_SCIENTISTS",
        "SANDBOX_ML_ENGINEERS",
    }
    assert said | {f"{name.upper()}_WORKSPACE" for name in NAMES} <= known
