"""The ids that Azure ML and its SDK use for one asset, and those that are refused."""

import pytest

from shared.core.asset_names import AssetName, AssetPlace, place, plain_id, read

ARM = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/dev"
REGISTRY = "azureml://registries/contoso"


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        (f"azureml:{ARM}/models/churn/versions/1", f"{ARM}/models/churn/versions/1"),
        (f"azureml:{REGISTRY}/models/churn/versions/1", f"{REGISTRY}/models/churn/versions/1"),
        (f"{REGISTRY}/models/churn/versions/1", f"{REGISTRY}/models/churn/versions/1"),
        ("azureml:churn:1", "azureml:churn:1"),
        ("azureml:/subscriptionsandmore", "azureml:/subscriptionsandmore"),
        (None, ""),
    ],
)
def test_the_prefix_of_an_answer_is_not_part_of_an_id(given: str | None, plain: str) -> None:
    assert plain_id(given) == plain


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (f"{ARM}/data/rows/versions/7", AssetName("data", "rows", "7", None, "dev")),
        (f"azureml:{REGISTRY}/MODELS/churn/versions/1/", AssetName("model", "churn", "1", "contoso", None)),
        ("azureml://locations/west/workspaces/guid/codes/c/versions/1", AssetName("code", "c", "1", None, "guid")),
        ("models/churn/versions/1", AssetName("model", "churn", "1")),
        (f"{REGISTRY}/environments/sklearn/labels/latest", None),
        ("churn:1", None),
    ],
)
def test_people_know_an_asset_by_its_name_and_version(given: str, name: AssetName | None) -> None:
    assert read(given) == name


@pytest.mark.parametrize(
    ("given", "path"),
    [
        (f"{REGISTRY}/components/train/versions/1", "components/train/versions/1"),
        (f"azureml:{REGISTRY}/Environments/sklearn/Labels/latest", "environments/sklearn/labels/latest"),
        (f"{ARM}/codes/c/versions/1", "codes/c/versions/1"),
    ],
)
def test_an_asset_is_read_at_the_place_that_its_id_names(given: str, path: str) -> None:
    found = place(given)
    assert found is not None
    assert found.path == path
    assert (found.registry is None) == given.startswith(ARM)
    assert found.is_label == ("label" in path)


@pytest.mark.parametrize(
    "given",
    [
        f"{REGISTRY}/components/train?x=1/versions/1",
        f"{REGISTRY}/components/train/versions/1#",
        f"{REGISTRY}/more/components/train/versions/1",
        f"{REGISTRY}/components/train/heads/1",
        f"{REGISTRY}/jobs/train/versions/1",
        f"https://elsewhere{ARM}/codes/c/versions/1",
        "/subscriptions/s/resourceGroups/g/providers/Contoso.Things/workspaces/dev/codes/c/versions/1",
        "models/churn/versions/1",
        "",
    ],
)
def test_no_request_is_made_from_an_id_of_any_other_form(given: str) -> None:
    assert place(given) is None


def test_a_workspaces_asset_has_no_registry() -> None:
    assert place(f"{ARM}/data/rows/versions/7") == AssetPlace("data", "rows", "7", False, None)
