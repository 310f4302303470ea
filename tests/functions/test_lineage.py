"""`GET /lineage`: from what serves back to its commit and data, and forward from those to what serves."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from shared.core.messages import Succeeded, as_evidence
from shared.worker.evaluation import Evaluated, Measured, UsedData
from shared.worker.lineage import Lineage, Pipeline
from shared.worker.pipeline_components import PromotedComponent
from shared.worker.pipeline_graph import Graph
from shared.worker.pipeline_inputs import Given
from shared.worker.pipeline_metrics import Figures
from shared.worker.steps.deploy import Deployed
from shared.worker.steps.invoke import Invoked
from shared.worker.steps.register_components import RegisteredComponents
from shared.worker.steps.register_model import RegisteredModel
from shared.worker.steps.run import Ran
from shared.worker.steps.share import Shared
from tests.functions.conftest import BOB, CAROL, CONFIGURATION, Api

DEV = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/ws-dev"
PROD = DEV.replace("ws-dev", "ws-prod")
ORIGIN = "azureml://locations/west/workspaces/guid-of-dev/models/churn-eu/versions/{}"
COPY = "azureml://registries/contoso-ml/models/churn-eu/versions/{}"


def lineage(**more: Any) -> Lineage:
    """Of a step of a pipeline job."""
    return Lineage(
        name="step-1",
        status="Completed",
        experiment="churn",
        code=f"{DEV}/codes/abc/versions/1",
        environment=f"{DEV}/environments/sklearn/versions/4",
        inputs={"rows": f"{DEV}/data/churn-sample/versions/7", "depth": "3"},
        git={"commit": "f00ba12f00ba12", "repository": "https://git/churn", "dirty": "True"},
        node="train",
        component=f"{DEV}/components/train_churn/versions/2",
        pipeline=Pipeline("whole-1", "Completed", inputs={"raw": f"{DEV}/data/churn-raw/versions/3"}),
        **more,
    )


def outcomes(version: str, job: Lineage | None = None) -> dict[tuple[str, str], Succeeded]:
    """The evidence of the steps of a promotion to test and prod."""
    shared = Shared(COPY.format(version), ORIGIN.format(version), job=job or lineage(), metrics={"auc": 0.9})
    evaluated = Evaluated(
        job="evaluate-1",
        studio="https://studio",
        digest="d1",
        model=COPY.format(version),
        champion=None,
        data=(UsedData("data", "churn-holdout", "5", f"{PROD}/data/churn-holdout/versions/5"),),
        metrics=(Measured("auc", 0.91, 0.89),),
        gates=(),
    )
    found = {("test", "share"): Succeeded(as_evidence(shared))}
    for stage, endpoint in (("test", "churn-eu-test"), ("prod", "churn-eu")):
        found[stage, "deploy"] = Succeeded(as_evidence(Deployed(endpoint, f"v{version}-abc", None, None)))
        found[stage, "evaluate"] = Succeeded(as_evidence(evaluated))
    return found


def promote(api: Api, version: str, job: Lineage | None = None) -> str:
    """To test and prod; its id."""
    promotion, saw = api.start(version), outcomes(version, job)
    api.run(saw)
    for person in (BOB, CAROL):
        assert api.post(f"promotions/{promotion}/approve", {"reason": "seen"}, person).status == 202
    api.run(saw)
    return promotion


def nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for below in node["from"]:
        yield from nodes(below)


def tree(api: Api, endpoint: str = "prod/churn-eu") -> dict[str, Any]:
    answer = api.get(f"lineage/{endpoint}")
    assert answer.status == 200, answer.body
    (served,) = answer.body["serves"]
    return dict(served)


def test_an_endpoint_leads_back_to_its_commit_and_its_data(api: Api) -> None:
    promotion = promote(api, "3")
    found = [each["reference"] for each in nodes(tree(api))]
    assert found == [
        "endpoint:prod/churn-eu",
        f"promotion:{promotion}",
        "approval:bob",
        "approval:carol",
        "model:churn-eu:3",
        "model:churn-eu:3",
        "job:step-1",
        "job:whole-1",
        "data:churn-raw:3",
        "component:train_churn:2",
        "code:abc:1",
        "environment:sklearn:4",
        "data:churn-sample:7",
        "commit:f00ba12f00ba12",
    ]


def test_what_is_known_of_each_stands_beside_it(api: Api) -> None:
    promote(api, "3")
    facts = {each["reference"]: each["facts"] for each in nodes(tree(api))}
    assert facts["endpoint:prod/churn-eu"]["deployment"] == "v3-abc"
    assert (facts["job:step-1"]["step"], facts["job:step-1"]["metrics"]) == ("train", {"auc": 0.9})
    assert (facts["data:churn-sample:7"]["workspace"], facts["data:churn-sample:7"]["input"]) == ("ws-dev", "rows")
    assert facts["commit:f00ba12f00ba12"] == {"repository": "https://git/churn", "dirty": "True"}
    assert facts["approval:bob"]["reason"] == "seen"


def test_the_registrys_copy_stands_above_the_workspaces_model(api: Api) -> None:
    promote(api, "3")
    (copy, origin) = (each["facts"] for each in nodes(tree(api)) if each["kind"] == "model")
    assert (copy["registry"], origin["workspace"]) == ("contoso-ml", "dev")


def test_a_workspace_is_named_also_where_an_id_has_its_guid(api: Api) -> None:
    location = "azureml://locations/west/workspaces/{}/data/{}/versions/1"
    inputs = {"rows": location.format("guid-of-dev", "rows"), "other": location.format("another-guid", "other")}
    promote(api, "3", replace(lineage(), inputs=inputs))
    facts = {each["reference"]: each["facts"] for each in nodes(tree(api))}
    assert (facts["data:rows:1"]["workspace"], facts["data:rows:1"]["id"]) == ("dev", inputs["rows"])
    assert facts["data:other:1"]["workspace"] == "another-guid"


def test_each_stage_has_an_endpoint_of_its_own_and_the_newest_version_counts(api: Api) -> None:
    promote(api, "3")
    newer = api.start("4", through="test")
    api.run(outcomes("4"))
    assert tree(api, "test/churn-eu-test")["from"][0]["name"] == newer
    assert tree(api, "prod/churn-eu")["from"][0]["facts"]["version"] == "3"


def test_azure_keeps_no_case_of_names_of_endpoints(api: Api) -> None:
    promote(api, "3")
    assert tree(api, "prod/CHURN-eu")["name"] == "prod/churn-eu"


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("prod/nobody", "Nothing that was promoted serves endpoint nobody of prod"),
        ("test/churn-eu", "Nothing that was promoted serves endpoint churn-eu of test"),
        ("lab/churn-eu", "There is no environment lab. Configured are dev, test, prod."),
    ],
)
def test_what_serves_nowhere_is_told_in_words(api: Api, address: str, says: str) -> None:
    promote(api, "3")
    answer = api.get(f"lineage/{address}")
    assert (answer.status, says in answer.body["detail"]) == (404, True), answer.body


@pytest.mark.parametrize(
    "of",
    [
        "data:churn-sample:7",
        "data:churn-sample",
        "data:churn-raw:3",
        "model:churn-eu:3",
        "job:step-1",
        "job:whole-1",
        "commit:F00BA12",
        "component:train_churn",
        "environment:sklearn:4",
    ],
)
def test_what_serves_is_found_by_all_that_it_came_from(api: Api, of: str) -> None:
    promotion = promote(api, "3")
    found = api.get(f"lineage?of={of}").body["value"]
    assert [(each["environment"], each["endpoint"], each["promotion"]) for each in found] == [
        ("test", "churn-eu-test", promotion),
        ("prod", "churn-eu", promotion),
    ]
    assert found[1]["way"][0] == "endpoint:prod/churn-eu"
    kind, _, name = of.casefold().partition(":")
    assert found[1]["way"][-1].startswith(f"{kind}:{name}")


@pytest.mark.parametrize("of", ["data:churn-sample:8", "data:churn", "model:churn-sample:7", "commit:badbadb"])
def test_what_nothing_came_from_finds_nothing(api: Api, of: str) -> None:
    promote(api, "3")
    assert api.get(f"lineage?of={of}").body == {"value": [], "next_link": None}


def test_what_served_before_is_not_found_any_more(api: Api) -> None:
    promote(api, "3")
    promote(api, "4", lineage(tags={}))
    found = api.get("lineage?of=model:churn-eu:3").body["value"]
    assert found == []


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("", "of: is missing"),
        ("of=churn", "names nothing; write KIND:NAME"),
        ("of=data:", "names nothing"),
        ("of=stage:prod", "where KIND is one of model, data, job"),
        ("of=commit:f00", "too short for a commit"),
        ("of=data:x&top=0", "top must be a whole number"),
        ("of=data:x&colour=red", "unknown parameter colour"),
        ("of=data:x&continuation=nonsense", "unknown continuation token"),
    ],
)
def test_a_search_that_cannot_be_meant_is_refused_in_words(api: Api, query: str, says: str) -> None:
    answer = api.get(f"lineage?{query}")
    assert (answer.status, says in answer.body["detail"]) == (400, True), answer.body


def test_pages_lead_through_all_lanes(api: Api) -> None:
    promote(api, "3")
    api.post("promotions", {"model": "fraud", "version": "1", "reason": "x"})
    api.run({("prod", "share"): outcomes("1")["test", "share"], ("prod", "deploy"): Succeeded({"endpoint": "x-fraud"})})
    first = api.get("lineage?of=data:churn-sample&top=1&code=a-key").body
    assert [each["endpoint"] for each in first["value"]] == ["churn-eu-test", "churn-eu"]
    assert "code" not in first["next_link"]
    second = api.get(first["next_link"].partition("/api/")[2]).body
    assert ([each["endpoint"] for each in second["value"]], second["next_link"]) == (["x-fraud"], None)


def test_a_tag_that_names_another_promotion_proves_nothing(api: Api) -> None:
    """Anybody who registers a model can tag it, so the promotion that the tag names must know the model."""
    other = promote(api, "2")
    promote(api, "3", lineage(tags={"mlpromote.promotion": other}))
    assert [each["name"] for each in nodes(tree(api)) if each["kind"] == "promotion"] != [other]
    assert f"promotion:{other}" not in [each["reference"] for each in nodes(tree(api))]


@pytest.mark.parametrize(
    ("step", "deployment", "kinds"),
    [("share", "v4-abc", {"endpoint", "promotion"}), ("deploy", None, {"endpoint", "promotion", "model", "job"})],
)
def test_evidence_of_another_version_leaves_out_its_own_branch_alone(
    api: Api, step: str, deployment: str | None, kinds: set[str]
) -> None:
    promotion, saw = api.start("4", through="test"), outcomes("4", Lineage("step-1"))
    saw["test", step] = Succeeded({"origin": ["of", "another", "shape"], "endpoint": 5})
    api.run(saw)
    served = tree(api, "test/churn-eu-test")
    assert (served["from"][0]["name"], served["facts"].get("deployment")) == (promotion, deployment)
    assert {each["kind"] for each in nodes(served)} == kinds


# --- the test of a batch deployment -----------------------------------------------------------------------------------


@pytest.fixture
def of_batch(api: Api) -> str:
    """A promotion that serves a batch endpoint, tested on version 2 of a data asset; its id."""
    stage = "{environment: prod, batch_endpoint: scoring, deployment: deployments/b.yml, test: {input: sample:2}}"
    batch = f"  batch:\n    from: dev\n    models: [batch]\n    stages:\n      - {stage}\n"
    api.app.settings.configuration_path.write_text(CONFIGURATION + batch)
    started = api.post("promotions", {"model": "batch", "version": "1", "reason": "a test"})
    assert started.status == 202, started.body
    tested = Invoked("test-1", data=f"{PROD}/data/sample/versions/2", rows=10, champion="v1-old", differing=1)
    saw = {"deploy": Deployed("scoring", "v1-abc", None, None), "invoke": tested}
    api.run({("prod", step): Succeeded(as_evidence(seen)) for step, seen in saw.items()})
    return str(started.body["id"])


@pytest.mark.parametrize("of", ["data:sample:2", "data:sample", "test:test-1"])
def test_what_was_tested_with_data_is_found_by_it(api: Api, of_batch: str, of: str) -> None:
    [found] = api.get(f"lineage?of={of}").body["value"]
    assert (found["endpoint"], found["promotion"]) == ("scoring", of_batch)
    assert found["way"][:3] == ["endpoint:prod/scoring", f"promotion:{of_batch}", "test:test-1"]
    assert api.get("lineage?of=data:sample:3").body["value"] == []


def test_the_test_of_a_batch_deployment_stands_below_its_promotion(api: Api, of_batch: str) -> None:
    facts = {each["reference"]: each["facts"] for each in nodes(tree(api, "prod/scoring"))}
    assert facts["test:test-1"] == {"rows": 10, "differing": 1, "compared_with": "v1-old"}
    assert facts["data:sample:2"]["workspace"] == "ws-prod"


# --- with an evaluation -----------------------------------------------------------------------------------------------

MEASURED = """\
  measured:
    from: dev
    models: [measured]
    stages:
      - environment: prod
        endpoint: measured
        deployment: deployments/churn.yml
        evaluate:
          job: evaluate.yml
          inputs: {data: churn-holdout@latest}
          gates: [{metric: auc, at_least: 0.8}]
"""
JOB = "command: python evaluate.py\ninputs: {model: {type: custom_model}, data: {type: uri_folder}}\n"


def serve_measured(api: Api) -> None:
    """A model that was evaluated in prod."""
    path = api.app.settings.configuration_path
    path.write_text(CONFIGURATION + MEASURED)
    path.with_name("evaluate.yml").write_text(JOB)
    started = api.post("promotions", {"model": "measured", "version": "3", "reason": "a test"})
    assert started.status == 202, started.body
    saw = {("prod", step): outcome for (stage, step), outcome in outcomes("3").items() if stage == "prod"}
    saw["prod", "deploy"] = Succeeded(as_evidence(Deployed("measured", "v3-abc", None, None)))
    api.run(saw)


def test_the_evaluation_stands_with_its_figures_and_its_data(api: Api) -> None:
    serve_measured(api)
    [evaluation] = [each for each in nodes(tree(api, "prod/measured")) if each["kind"] == "evaluation"]
    assert evaluation["reference"] == "evaluation:evaluate-1"
    assert evaluation["facts"]["metrics"] == {"auc": {"candidate": 0.91, "champion": 0.89}}
    assert evaluation["facts"]["studio"] == "https://studio"
    [data] = evaluation["from"]
    assert (data["reference"], data["facts"]["workspace"]) == ("data:churn-holdout:5", "ws-prod")


@pytest.mark.parametrize("of", ["evaluation:evaluate-1", "data:churn-holdout:5"])
def test_what_serves_is_found_by_its_evaluation_and_the_data_of_that(api: Api, of: str) -> None:
    serve_measured(api)
    [found] = api.get(f"lineage?of={of}").body["value"]
    assert found["endpoint"] == "measured"
    assert "evaluation:evaluate-1" in found["way"]


# --- through the promotion of a pipeline ------------------------------------------------------------------------------

PIPELINES = """\
  training:
    from: dev
    pipelines: {experiment: churn-pipeline}
    stages:
      - environment: prod
        run: {compute: cpu, inputs: {rows: churn-production@latest}}
        register: {output: model, model: trained}
  trained:
    from: prod
    models: [trained]
    stages:
      - {environment: prod, endpoint: trained, deployment: deployments/churn.yml}
"""
RUN = "training-1-prod-run-1"


def run_of_pipeline(api: Api) -> str:
    """The promotion of a pipeline whose run in prod has registered version 1 of model `trained`; its id."""
    api.app.settings.configuration_path.write_text(CONFIGURATION + PIPELINES)
    body = {"model": "training", "version": "whole-1", "reason": "a test"}
    started = api.post("promotions", body)
    assert started.status == 202, started.body
    component = PromotedComponent("azureml://registries/contoso-ml/components/train_churn/versions/abc", "d1", "python")
    registered = RegisteredComponents(
        pipeline="digest-of-graph",
        graph=Graph(),
        components={"train": component},
        job=Lineage(
            "whole-1",
            "Completed",
            inputs={"rows": f"{DEV}/data/churn-sample/versions/7"},
            git={"commit": "f00ba12f00ba12"},
        ),
        figures=Figures({"auc": 0.8}),
    )
    rows = Given(data=f"{PROD}/data/churn-production/versions/9", name="churn-production", version="9")
    ran = Ran(RUN, "digest-of-graph", {"rows": rows})
    made = RegisteredModel("trained", "1", f"{PROD}/models/trained/versions/1", RUN)
    saw = {"register_components": registered, "run": ran, "register_model": made}
    outcomes_of_it = {("prod", step): Succeeded(as_evidence(seen)) for step, seen in saw.items()}
    api.run(outcomes_of_it)
    assert api.post(f"promotions/{started.body['id']}/approve", {"reason": "seen"}, BOB).status == 202
    api.run(outcomes_of_it)
    return str(started.body["id"])


def serve_trained(api: Api, pipeline: str, version: str = "1") -> str:
    """The model of the run is promoted where it was registered; the promotion's id."""
    shared = Shared(
        None,
        ORIGIN.format(version).replace("churn-eu", "trained"),
        job=Lineage(RUN, "Completed", inputs={"rows": f"{PROD}/data/churn-production/versions/9"}),
        properties={"mlpromote.promotion": pipeline},
    )
    body = {"model": "trained", "version": version, "reason": "a test", "source": "prod"}
    started = api.post("promotions", body)
    assert started.status == 202, started.body
    deployed = Deployed("trained", "v1-abc", None, None)
    saw = {("prod", "share"): shared, ("prod", "deploy"): deployed}
    api.run({step: Succeeded(as_evidence(seen)) for step, seen in saw.items()})
    return str(started.body["id"])


def test_a_model_of_a_promoted_pipeline_leads_on_to_its_source_job_and_the_sample(api: Api) -> None:
    pipeline = run_of_pipeline(api)
    promotion = serve_trained(api, pipeline)
    assert [each["reference"] for each in nodes(tree(api, "prod/trained"))] == [
        "endpoint:prod/trained",
        f"promotion:{promotion}",
        "model:trained:1",
        f"job:{RUN}",
        f"promotion:{pipeline}",
        "approval:bob",
        "pipeline:digest-of-graph",
        "job:whole-1",
        "data:churn-sample:7",
        "commit:f00ba12f00ba12",
        "component:train_churn:abc",
        f"job:{RUN}",
        "data:churn-production:9",
        "data:churn-production:9",
    ]


@pytest.mark.parametrize("of", ["data:churn-production:9", "data:churn-sample:7", "commit:f00ba12", "job:whole-1"])
def test_what_a_promoted_pipeline_trained_is_found_by_all_that_it_came_from(api: Api, of: str) -> None:
    promotion = serve_trained(api, run_of_pipeline(api))
    found = api.get(f"lineage?of={of}").body["value"]
    assert [(each["endpoint"], each["promotion"]) for each in found] == [("trained", promotion)]


def test_a_model_that_the_run_did_not_register_does_not_lead_to_the_pipeline(api: Api) -> None:
    pipeline = run_of_pipeline(api)
    serve_trained(api, pipeline, version="2")
    assert f"promotion:{pipeline}" not in [each["reference"] for each in nodes(tree(api, "prod/trained"))]
