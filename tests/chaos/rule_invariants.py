"""What must hold of holds and bundles: nothing begins under a hold, and a promotion uses the bundle that it names."""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from tests.chaos.world import Answer, Promotion, World

#: Holds are read before a decision is saved. What was read before a hold was set may be saved this much later.
DECIDES_WITHIN = timedelta(seconds=5)
#: The app keeps this many lines on holds, and this many publications of a source.
LINES_OF_HOLDS, LINES_OF_PUBLICATIONS = 200, 100
#: In the journal of a retry: the beginnings of the digests of the new bundle, and of the one before.
_RENEWED = re.compile("with the files of bundle ([0-9a-f]+) instead of ([0-9a-f]+)")


def stages_begun_under_a_hold(world: World) -> Iterator[str]:
    for promotion in world.promotions:
        for line in promotion.journal:
            if line.what != "stage-started":
                continue
            for hold in world.holds:
                begins, ends = hold.since + DECIDES_WITHIN, hold.until
                is_held = begins <= line.at and (ends is None or line.at < ends)
                if is_held and hold.covers(promotion.route, promotion.model, line.stage):
                    yield f"{promotion.id} entered {line.stage} at {line.at} under the hold {hold}"


def holds_that_are_not_noted(world: World) -> Iterator[str]:
    noted = Counter(world.noted_holds)
    for request in world.holds_set:
        asked, number = f"{request.by}'s request {request.reason!r} ({request.what})", noted[request.reason]
        if request.answer is Answer.DONE and not number and len(world.noted_holds) < LINES_OF_HOLDS:
            yield f"{asked} was answered as done, and is not noted"
        if number > 1 or (number and request.answer is Answer.NOTHING):
            yield f"{asked} was answered as {request.answer}, and is noted {number} times"


def publications_that_are_not_listed(world: World) -> Iterator[str]:
    listed = Counter(reason for _, reason in world.publications)
    for request, digest in world.published:
        number = listed[request.reason]
        if request.answer is Answer.DONE and not number and len(world.publications) < LINES_OF_PUBLICATIONS:
            yield f"bundle {digest[:12]} was published ({request.reason}), and is not listed"
        if number > 1 or (number and request.answer is Answer.NOTHING):
            yield f"bundle {digest[:12]} ({request.reason}: {request.answer}) is listed {number} times"


def bundles_that_nobody_published(world: World) -> Iterator[str]:
    for promotion in world.promotions:
        of_no_route = promotion.status == "ignored" and not promotion.bundle
        if promotion.bundle not in world.editions and not of_no_route:
            yield f"{promotion.id} names bundle {promotion.bundle or 'none'}, which nobody published"
    for queue in world.queues:
        for digest in sorted(queue.bundles - world.editions.keys()):
            yield f"a command in {queue.name} names bundle {digest}, which nobody published"


def editions_that_are_not_the_promotions(world: World) -> Iterator[str]:
    """What serves runs the code of the bundle that its promotion deployed it from."""
    by_name = {(each.environment, each.name): each for each in world.endpoints}
    for serving in world.serving:
        endpoint = by_name.get((serving.environment, serving.endpoint))
        promotion = world.promotion(serving.promotion) if serving.promotion else None
        if endpoint is None or endpoint.edition is None or promotion is None:
            continue
        bundle = deployed_from(promotion, serving.stage)
        editions = {edition for digest, edition in world.editions.items() if digest.startswith(bundle)}
        if editions != {endpoint.edition}:
            where = f"{serving.environment}/{serving.endpoint}"
            asked = f"{promotion.id} was deployed from bundle {bundle[:12]} ({', '.join(editions) or 'unknown'})"
            yield f"{where} answers with the code of {endpoint.edition}, and {asked}"


def deployed_from(promotion: Promotion, stage: str) -> str:
    """The beginning of the digest of the bundle that a stage was deployed from. A retry takes the newest, and does not
    touch the stages that have succeeded."""
    renewals = [(line, found) for line in promotion.journal if (found := _RENEWED.search(line.text))]
    bundle = renewals[0][1][2] if renewals else promotion.bundle
    deployed = bundle
    for line in promotion.journal:
        renewed = _RENEWED.search(line.text)
        bundle = renewed[1] if renewed else bundle
        if (line.what, line.stage, line.step) == ("step-succeeded", stage, "deploy"):
            deployed = bundle
    return deployed
