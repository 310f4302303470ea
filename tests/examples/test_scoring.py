import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from localcloud.azureml.compute.container import Container, ContainerCrashed, Image
from tests.examples.conftest import DIGITS, Train
from tests.examples.scripts import COMPUTE

Serve = Callable[[Path], Awaitable[Container]]
SMOKE = [json.loads(line) for line in (DIGITS / "smoke" / "digits.jsonl").read_text().splitlines()]


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Serve a model with the example's scoring code in Microsoft's server."""
    containers: list[Container] = []

    async def serve(model: Path) -> Container:
        image = Image(python=COMPUTE, code=DIGITS / "scoring", scoring_script="score.py", model=model)
        containers.append(Container(tmp_path / f"{len(containers)}", image, start_seconds=300, restart_pauses=()))
        await containers[-1].start()
        return containers[-1]

    yield serve
    for container in containers:
        await container.stop()


async def score(container: Container, request: Any) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{container.address()}/score", json=request) as answer,
    ):
        return answer.status, await answer.json()


async def test_the_model_answers_every_smoke_request_as_expected(serve: Serve, model: Path) -> None:
    container = await serve(model)

    for smoke in SMOKE:
        status, answer = await score(container, smoke["request"])
        assert status == 200
        assert answer.keys() == smoke["expected"].keys()
        assert answer["digits"] == smoke["expected"]["digits"]
        assert answer["probabilities"] == pytest.approx(smoke["expected"]["probabilities"], abs=smoke["tolerance"])


async def test_a_malformed_request_is_answered_with_400_and_what_is_wrong(serve: Serve, model: Path) -> None:
    container = await serve(model)
    image = SMOKE[0]["request"]["images"][0]

    for request, says in (
        ({"images": [[1, 2, 3]]}, "image 1 is not a list of 64 numbers"),
        ({"images": [image, ["ink"] * 64]}, "image 2 is not a list of 64 numbers"),
        ({"images": []}, "at least one image"),
        ("seven", "at least one image"),
    ):
        status, answer = await score(container, request)
        assert status == 400, request
        assert says in answer["error"]


async def test_a_model_in_the_bundle_layout_crashes_in_init_and_the_log_says_why(
    serve: Serve, train: Train, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle" / "model"
    assert train(bundle, layout="bundle").returncode == 0

    with pytest.raises(ContainerCrashed) as crash:
        await serve(bundle)

    assert "in init" in crash.value.logs
    assert "AttributeError: 'dict' object has no attribute 'predict_proba'" in crash.value.logs
