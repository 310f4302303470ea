"""Load with a seed on deployments that behave as their models say, and that the metrics see the same as the callers."""

from itertools import islice
from pathlib import Path

from azure.ai.ml.entities import CodeConfiguration, ManagedOnlineDeployment, Model

from localcloud.testing.behaviour import Behaviour, write_scoring_script
from localcloud.testing.load import Load, plan

from .conftest import Endpoint, NewEndpoint, Plane, until
from .test_metrics import asked, requests, series

PAYLOADS = [b'{"data": [1]}', b'{"data": [1, 2]}', b'{"data": []}']


def test_the_same_seed_plans_the_same_requests_at_the_same_times() -> None:
    first, again, other = (list(islice(plan(PAYLOADS, seed, 50), 200)) for seed in (7, 7, 8))
    assert first == again
    assert first != other
    assert 2 < sum(each.pause for each in first) < 7  # 4 s for 200 requests at 50 a second
    assert {each.payload for each in first} == set(PAYLOADS)


def deploy(endpoint: Endpoint, name: str, behaviour: Behaviour, folder: Path) -> None:
    model = Model(name=f"{endpoint.name}-{name}", version="1", path=behaviour.write(folder / name))
    endpoint.client.online_deployments.begin_create_or_update(
        ManagedOnlineDeployment(
            name=name,
            endpoint_name=endpoint.name,
            model=endpoint.client.models.create_or_update(model).id,
            environment="azureml:inference:1",
            code_configuration=CodeConfiguration(
                code=str(write_scoring_script(folder / "code")), scoring_script="score.py"
            ),
            instance_type="Standard_DS3_v2",
            instance_count=1,
        )
    )
    until(lambda: endpoint.state(name) == "Succeeded")


def test_metrics_tell_what_callers_saw_of_a_slow_and_failing_deployment(
    plane: Plane, new_endpoint: NewEndpoint, tmp_path: Path
) -> None:
    endpoint = new_endpoint(plane(metrics={"delay_seconds": 0}), "loaded")
    deploy(endpoint, "blue", Behaviour(), tmp_path)
    deploy(endpoint, "green", Behaviour(milliseconds=80, fails=0.3, seed=3), tmp_path)
    endpoint.route(blue=50, green=50)
    uri, key = endpoint.get()["properties"]["scoringUri"], endpoint.key()
    with Load(uri, key, PAYLOADS, seed=1, per_second=15) as load:
        until(lambda: load.outcomes.by_deployment()["green", 424] >= 3)
        until(lambda: load.outcomes.by_deployment()["blue", 200] >= 10)
    outcomes = load.outcomes
    counted = requests(endpoint, "deployment eq '*' and statusCode eq '*'")
    assert counted == {(name, str(status)): number for (name, status), number in outcomes.by_deployment().items()}
    assert {(each.deployment, each.status) for each in outcomes.failed()} == {("green", 424)}
    assert outcomes.latency("green", 0.1) >= 0.08
    latencies = series(
        asked(endpoint, "RequestLatency_P50", **{"$filter": "deployment eq '*'", "interval": "PT1H"}),
        "RequestLatency_P50",
    )
    assert latencies["green",][0] >= 79  # milliseconds; quantiles are exact to a percent
    assert latencies["green",][0] > latencies["blue",][0]
