import pytest

from mlpromote.exit_codes import ExitCode
from tests.examples.promotion_document import after
from tests.mlpromote.conftest import CommandLine
from tests.mlpromote.stub import Answer, StubApp, problem


def node(kind: str, name: str, version: str | None = None, *below: object, **facts: object) -> dict[str, object]:
    reference = ":".join(part for part in (kind, name, version) if part)
    return {"kind": kind, "name": name, "version": version, "reference": reference, "facts": facts, "from": list(below)}


COMMIT = node("commit", "f00ba12", repository="https://git/churn", dirty="True")
DATA = node("data", "churn-sample", "7", input="rows", workspace="ws-dev", id="/subscriptions/…")
JOB = node("job", "brave_fox", None, DATA, COMMIT, status="Completed", metrics={"auc": 0.9})
EVALUATION = node("evaluation", "evaluate-1", metrics={"auc": {"candidate": 0.91, "champion": 0.89}})
PROMOTION = node("promotion", "churn-3-abc", None, EVALUATION, node("model", "churn", "3", JOB, registry="contoso-ml"))
LINEAGE = {
    "environment": "prod",
    "endpoint": "churn",
    "serves": [node("endpoint", "prod/churn", None, PROMOTION, since=after(0))],
}


def test_it_is_a_tree_for_people(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer(LINEAGE))
    ended = mlpromote("lineage", "prod/churn")
    assert ended.code == 0
    assert app.asked[0].path == "/api/lineage/prod/churn"
    lines = [line.strip("│├└─ ") for line in ended.output.splitlines() if line]
    assert lines == [
        "endpoint prod/churn  since 2026-11-20 12:00 UTC",
        "promotion churn-3-abc",
        "evaluation evaluate-1  auc 0.91 (champion 0.89)",
        "model churn/3  registry contoso-ml",
        "job brave_fox  status Completed, auc 0.9",
        "data churn-sample/7  input rows, workspace ws-dev",
        "commit f00ba12  repository https://git/churn, with uncommitted",
        "changes",
    ]
    assert ended.output.splitlines()[1].startswith("└── ")


def test_programs_get_the_document(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer(LINEAGE))
    assert mlpromote("lineage", "prod/churn", "--json").document == LINEAGE


def test_forward_it_lists_what_serves_and_the_way_there(mlpromote: CommandLine, app: StubApp) -> None:
    found = {"environment": "prod", "endpoint": "churn", "model": "churn", "version": "3", "since": after(0)}
    way = ["endpoint:prod/churn", "promotion:churn-3-abc", "data:churn-sample:7"]
    first = {
        "value": [{**found, "way": way}],
        "next_link": f"{app.url}/api/lineage?of=data:churn-sample&continuation=x",
    }
    app.will_answer(Answer(first), Answer({"value": [], "next_link": None}))
    ended = mlpromote("lineage", "--of", "data:churn-sample")
    assert ended.code == 0
    assert app.asked[0].query["of"] == "data:churn-sample"
    assert len(app.asked) == 2
    printed = " ".join(ended.output.split())
    assert "prod churn churn 3" in printed
    assert "promotion:churn-3-abc" in printed


def test_forward_to_nothing_is_told_in_words(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer({"value": [], "next_link": None}))
    assert mlpromote("lineage", "--of", "data:x").output == "no serving model came from data:x\n"


@pytest.mark.parametrize("arguments", [(), ("prod/churn", "--of", "data:x"), ("prod",), ("prod/",), ("/churn",)])
def test_what_cannot_be_meant_is_refused_before_the_app_is_asked(
    mlpromote: CommandLine, app: StubApp, arguments: tuple[str, ...]
) -> None:
    ended = mlpromote("lineage", *arguments)
    assert (ended.code, ended.output, app.asked) == (ExitCode.USAGE, "", [])


def test_what_the_app_does_not_know_is_not_found(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(problem(404, "Nothing that was promoted serves endpoint x of prod."))
    ended = mlpromote("lineage", "prod/x")
    assert ended.code == ExitCode.NOT_FOUND
    assert "Nothing that was promoted serves endpoint x of prod." in ended.errors
