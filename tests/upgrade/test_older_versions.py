"""What older versions have written is read completely, and promotions under way continue to their end.

`keep.py` has written the files; each belongs to a version and stays as it is.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.cloud.documents import lane_document, read_lane, read_promotion
from shared.core.commands import due
from shared.core.message_bodies import decode, encode
from shared.core.messages import RunStep
from shared.core.promotion import Lane, PromotionStatus
from tests.core.driver import LaneDriver
from tests.core.people import ANNA, BERT
from tests.core.world import KEY, answer
from tests.upgrade.keep import approved

FOLDER = Path(__file__).parent
VERSIONS = sorted(FOLDER.glob("version-*.json"))


@pytest.fixture(params=VERSIONS, ids=lambda file: file.stem)
def kept(request: pytest.FixtureRequest) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(request.param.read_text(encoding="utf-8"))
    return content


def test_messages_are_read_to_the_last_field(kept: dict[str, Any]) -> None:
    for body in (*kept["messages"], *(body for lane in kept["lanes"] for body in lane["commands"])):
        read = decode(body.encode())
        assert list(lost(json.loads(body), json.loads(encode(read)))) == []


def test_documents_are_read_to_the_last_field(kept: dict[str, Any]) -> None:
    for document in kept["lanes"]:
        lane = read(document)
        assert list(lost(document["lane"], json.loads(lane_document(lane)))) == []
        for old, new in zip(document["promotions"], lane.promotions, strict=True):
            assert list(lost(old, complete(new))) == []


def test_what_was_in_flight_is_sent_again_under_the_same_message_ids(kept: dict[str, Any]) -> None:
    """So that duplicate detection drops what the older version has already sent."""
    for document in kept["lanes"]:
        old = [decode(body.encode()).message_id for body in document["commands"]]
        assert [command.message_id for command in due(read(document))] == old


def test_promotions_under_way_go_on_to_their_end_from_every_moment(kept: dict[str, Any]) -> None:
    assert len(kept["lanes"]) > 10
    for document in kept["lanes"]:
        (promotion,) = finished(read(document), document["commands"]).promotions
        assert promotion.status is PromotionStatus.SUCCEEDED, promotion.reason


def read(document: dict[str, Any]) -> Lane:
    promotions = tuple(read_promotion(json.dumps(promotion)) for promotion in document["promotions"])
    return read_lane(KEY, json.dumps(document["lane"]), promotions)


def finished(lane: Lane, old_commands: list[str]) -> Lane:
    """Answer the old commands, then the new ones, and approve where a stage waits for that."""
    driver = LaneDriver(lane)
    for body in old_commands:
        command = decode(body.encode())
        assert isinstance(command, RunStep)
        driver.apply(answer(command))
    while driver.run().promotions[0].under_way:
        driver.lane = approved(approved(driver.lane, ANNA), BERT)
    return driver.lane


def complete(value: Any) -> Any:
    """The JSON value with all fields, also those that documents leave out because they have their defaults."""
    if isinstance(value, msgspec.Struct):
        return {name: complete(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {key: complete(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [complete(each) for each in value]
    return msgspec.to_builtins(value)


def lost(old: Any, new: Any, place: str = "") -> Iterator[str]:
    """The places where the new value lacks something of the old one, or differs from it."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key, value in old.items():
            yield from lost(value, new[key], f"{place}.{key}") if key in new else (f"{place}.{key}",)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from lost(before, after, f"{place}[{index}]")
    elif old != new:
        yield place
