"""The local cloud that is killed: the environments of `platform.yml`, and the app with shorter times."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from localcloud.http_server import bind, port_of
from localcloud.testing.eventgrid import Webhook
from localcloud.up import Description
from tests.chaos import hurried_app
from tests.chaos.logbook import Logbook
from tests.chaos.people import ENVIRONMENTS, ROLES
from tests.e2e.conftest import REPOSITORY, Cloud, describe, running

CONFIGURATION = Path(__file__).with_name("platform.yml")
#: In prod, for the jobs of batch endpoints.
CLUSTER = "cpu"
#: Few, so that messages become dead letters and people have something to replay.
MOST_DELIVERIES = 3
_SETTINGS = {
    "MLPROMOTE_CONFIGURATION": str(CONFIGURATION),
    "MLPROMOTE_TOPIC_ENDPOINT": "{topic_promotions}",
    "MLPROMOTE_TOPIC_KEY": "{topic_key_promotions}",
    # The host, and one process beside it.
    "FUNCTIONS_WORKER_PROCESS_COUNT": "2",
}


@dataclass(frozen=True)
class Subscribed:
    """A running local cloud, and who has subscribed to what its app publishes."""

    cloud: Cloud
    subscriber: Webhook


@asynccontextmanager
async def hurried_cloud(folder: Path, log: Logbook) -> AsyncIterator[Subscribed]:
    """A running cloud with its state in `folder`, which must not exist yet."""
    with bind(0) as free:
        port = port_of(free)
    subscriber = Webhook()
    description = _description(hurried_app.make(folder / "app"), f"http://127.0.0.1:{port}/hook")
    async with (
        subscriber.listening(port),
        running(description, folder, tell=lambda line: log.note("told", line)) as cloud,
    ):
        yield Subscribed(cloud, subscriber)


def _description(app: Path, webhook: str) -> Description:
    relative = str(CONFIGURATION.relative_to(REPOSITORY))
    topics = [{"name": "promotions", "webhooks": [webhook]}]
    # Minutes of the metrics last a second, as in the end-to-end tests of rollouts.
    azureml = {**describe(relative, "dev").azureml, "metrics": {"delay_seconds": 0.5, "minute_seconds": 1}}
    described = describe(relative, *ENVIRONMENTS, people=ROLES, topics=topics, azureml=azureml)
    assert described.app is not None
    settings = described.app.settings | _SETTINGS
    with_cluster = described.environments["prod"].model_copy(update={"computes": (CLUSTER,)})
    return described.model_copy(
        update={
            "app": described.app.model_copy(update={"folder": app, "settings": settings}),
            "environments": {**described.environments, "prod": with_cluster},
        }
    )
