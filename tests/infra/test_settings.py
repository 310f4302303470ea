"""The settings in infra/ are those that the code reads, and the page about them is up to date."""

import json
import subprocess
import sys

import yaml

from shared.app import roles_here
from shared.config import load, load_places, sign_in
from shared.config.app_settings import OF_THE_HOST, AppSettings, OnAzure, documented
from shared.config.platform import load_platform
from tests.config.right import CLIENT_ID
from tests.infra.deployed import Deployed
from tests.infra.shapes import INFRA, NAMES, REPOSITORY, SIGN_IN, deployed, every_shape, settings, worker, workspace

EXAMPLE = REPOSITORY / "examples" / "digits" / "promotion.yml"


def filled_in(shape: Deployed) -> dict[str, str]:
    """The app's settings, with client ids of the right form, since only Azure knows the real ones."""
    given = {name: str(value) for name, value in settings(shape).items()}
    return {name: CLIENT_ID if text.endswith(".properties.clientId") else text for name, text in given.items()}


def test_every_setting_is_made_by_infra_or_told_why_not() -> None:
    made = {name for shape in every_shape() for name in settings(shape)}
    of_environments = {f"{name.upper()}_{what}" for name in NAMES for what in ("WORKSPACE", "IDENTITY")}
    told = {setting.name for setting in (*documented(), *OF_THE_HOST) if setting.on_azure is OnAzure.INFRA}
    assert made - of_environments - {"REGISTRY"} == told, "platform.yml has the registry as ${REGISTRY}"


def test_the_page_of_settings_is_up_to_date() -> None:
    answer = subprocess.run(
        [sys.executable, "docs/make_settings_table.py", "--check"], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stderr


def test_the_example_configuration_has_all_its_settings_in_every_app() -> None:
    for shape in every_shape():
        given = filled_in(shape)
        here = roles_here(given | {"MLPROMOTE_CONFIGURATION": str(EXAMPLE)})
        if here.environments:
            places = load_places(EXAMPLE, given, here.environments)
            assert {name: one.workspace.id for name, one in places.environments.items()} == {
                name: workspace(name) for name in here.environments
            }
        if here.coordinator:
            load(EXAMPLE, given)


def test_each_app_runs_its_parts() -> None:
    known = {"MLPROMOTE_CONFIGURATION": str(EXAMPLE)}
    parts = [
        roles_here({name: str(value) for name, value in settings(shape).items()} | known) for shape in every_shape()
    ]
    assert [(each.coordinator, each.environments) for each in parts] == [
        (True, NAMES),
        (True, ()),
        *((False, (name,)) for name in NAMES),
    ]


def test_the_example_asks_for_the_sources_that_infra_knows() -> None:
    given = filled_in(deployed())
    sources = {route.source for route in load(EXAMPLE, given).routes.values()}
    assert sources == {each["name"] for each in deployed().outputs["EVENT_SOURCES"] if each["source"]}


def test_every_app_gets_the_accepted_issuer_and_accepts_no_key() -> None:
    for shape in every_shape():
        given = filled_in(shape)
        assert sign_in.is_required(AppSettings.read(given))
        assert given[sign_in.TENANT] == "<tenant>.tenantId"
        assert given[sign_in.AUTHORITY] == "<environment>.authentication.loginEndpoint"
        of_azure = {sign_in.TENANT: CLIENT_ID, sign_in.AUTHORITY: "https://login.microsoftonline.com/"}
        read = sign_in.read(AppSettings.read(given | of_azure))
        assert read
        assert (read.client_id, read.issuer) == (SIGN_IN, f"https://login.microsoftonline.com/{CLIENT_ID}/v2.0")


def test_nothing_of_the_platform_vouches_for_anybody() -> None:
    for shape in every_shape():
        assert not [each for each in shape.resources if each.name == "authsettingsV2"]


def test_a_worker_knows_nothing_of_other_environments() -> None:
    platform = "MLPROMOTE_PLATFORM"  # the same text in every app; it names settings that this one does not have
    given = {name: value for name, value in settings(worker("prod")).items() if name != platform}
    assert not any(name in f"{key}={value}" for key, value in given.items() for name in ("dev", "DEV", "test", "TEST"))


def test_every_identity_in_the_settings_is_one_that_the_app_has() -> None:
    for shape in every_shape():
        (app,) = [resource for resource in shape.resources if resource.type == "Microsoft.Web/sites"]
        has = {f"<{identity}>.properties.clientId" for identity in app.body["identity"]["userAssignedIdentities"]}
        named = {
            str(value)
            for name, value in settings(shape).items()
            if name.endswith(("__clientId", "_IDENTITY")) and value != "00000000-0000-0000-0000-000000000000"
        }
        assert named == has


def test_as_many_functions_run_at_once_as_the_host_takes_messages() -> None:
    """By itself the worker has 4 threads and one for each core: 5 on a small instance."""
    at_once = json.loads((REPOSITORY / "host.json").read_text())["extensions"]["serviceBus"]["maxConcurrentCalls"]
    local = yaml.safe_load((REPOSITORY / "localcloud.yml").read_text())["app"]["settings"]
    for given in (*map(settings, every_shape()), local):
        assert given["PYTHON_THREADPOOL_THREAD_COUNT"] == str(at_once)
    assert f"{at_once} on each of 40 instances" in (REPOSITORY / "docs" / "scale.md").read_text(encoding="utf-8")


def test_only_an_app_with_promotions_gets_the_address_of_the_tables() -> None:
    known = {"MLPROMOTE_CONFIGURATION": str(EXAMPLE)}
    for shape in every_shape():
        given = {name: str(value) for name, value in settings(shape).items()}
        assert ("AzureWebJobsStorage__tableServiceUri" in given) is roles_here(given | known).coordinator


def test_the_platforms_file_fits_every_app() -> None:
    file = INFRA / "platform.yml"
    for shape in every_shape():
        given = filled_in(shape)
        assert given["MLPROMOTE_PLATFORM"] == file.read_text(encoding="utf-8")
        here = AppSettings.read(given)
        if names := roles_here(given).environments:
            assert load_places(here.configuration_file, given, names).registry == "contoso-ml"
        if roles_here(given).coordinator:
            assert list(load_platform(here.configuration_file, given).sources) == ["team"]
