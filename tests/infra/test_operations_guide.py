"""The operations guide names everything that an operator meets."""

import re

from shared.core.messages import FailureKind
from tests.infra.shapes import REPOSITORY, deployed, of_type

GUIDE = REPOSITORY / "docs" / "operations.md"
RIGHTS = REPOSITORY / "infra" / "README.md"


def test_every_class_of_failure_has_its_row() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \|", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [kind.value for kind in FailureKind]


def test_what_is_said_of_queues_is_what_they_are() -> None:
    (properties, *_) = (queue.properties for queue in of_type(deployed(), "Microsoft.ServiceBus/namespaces/queues"))
    text = GUIDE.read_text(encoding="utf-8")
    assert properties["duplicateDetectionHistoryTimeWindow"] == "PT10M"
    assert "10 minutes for duplicate detection" in text
    assert (properties["maxDeliveryCount"], properties["lockDuration"]) == (10, "PT1M")
    assert "10 deliveries, 1 minute for a lock" in text


def test_links_lead_somewhere() -> None:
    for page in (GUIDE, RIGHTS):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert "://" in target or (page.parent / target).exists(), target
