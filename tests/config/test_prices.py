"""Prices of instances: known to the coordinator and to each worker alone."""

from collections.abc import Callable
from pathlib import Path

import pytest

from shared.config import Configuration, load_places
from tests.config.right import RIGHT, SETTINGS

PRICED = f"{RIGHT}prices: {{Standard_DS3_v2: 0.25}}\ncurrency: EUR\n"


def test_prices_are_read_with_their_currency(configured: Callable[[str], Configuration]) -> None:
    configuration = configured(PRICED)
    assert (configuration.prices, configuration.currency) == ({"Standard_DS3_v2": 0.25}, "EUR")
    assert configured(RIGHT).prices == {}


def test_a_worker_alone_reads_them_too(tmp_path: Path) -> None:
    file = tmp_path / "promotion.yml"
    file.write_text(PRICED, encoding="utf-8")
    places = load_places(file, SETTINGS, ["prod"])
    assert (places.prices, places.currency) == ({"Standard_DS3_v2": 0.25}, "EUR")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prices: {Standard_DS3_v2: 0.25}\n", "prices need a currency, such as currency: EUR"),
        ("prices: {Standard_DS3_v2: -1}\ncurrency: EUR\n", "prices.Standard_DS3_v2: "),
        ("prices: {Standard_DS3_v2: 1}\ncurrency: Euro\n", "currency: "),
    ],
)
def test_prices_that_cannot_be_meant_are_faults(faults_of: Callable[[str], list[str]], text: str, said: str) -> None:
    assert any(said in fault for fault in faults_of(RIGHT + text)), faults_of(RIGHT + text)
