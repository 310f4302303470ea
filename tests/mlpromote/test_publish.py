"""Publishing from the command line: what is sent, what is said, and how it ends."""

from pathlib import Path
from typing import Any

import pytest

from mlpromote.exit_codes import ExitCode
from shared.config import bundle
from tests.config.teams import CHURN, in_folder
from tests.mlpromote.conftest import CommandLine
from tests.mlpromote.stub import Answer, StubApp, problem

DIGEST = bundle.digest_of(CHURN)
OLDER, OLDEST = "1" * 64, "2" * 64
STORED = Answer({"digest": DIGEST, "files": 5, "bytes": 100})
CHANGED = {
    "route": "churn-team/scores",
    "change": "changed",
    "settings": [{"place": "stages.test.smoke.max_latency", "before": None, "after": "500ms"}],
    "files": ["scoring/score.py"],
}
ASKED = ("--source", "churn-team", "--reason", "score.py reads bundles")


def publication(digest: str, **more: Any) -> dict[str, Any]:
    at = "2026-11-20T12:00:00+00:00"
    return {"digest": digest, "person": "id", "name": "paul", "reason": "a test", "at": at, "back": False, **more}


def source(*digests: str, counts: str | None = None, trouble: str | None = None, **more: Any) -> dict[str, Any]:
    """A source whose newest publications are these."""
    counts = counts or (digests[0] if digests else None)
    return {
        "source": "churn-team",
        "published": publication(counts) if counts else None,
        "routes": ["churn-team/scores"],
        "trouble": trouble,
        "history": [publication(each) for each in digests],
        **more,
    }


def preview(*faults: dict[str, str], expected: str | None = OLDER) -> Answer:
    found = {"source": "churn-team", "digest": DIGEST, "expected": expected, "faults": list(faults)}
    return Answer({**found, "changes": [] if faults else [CHANGED]})


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Path:
    """The folder that commands run in has a configuration."""
    return in_folder(tmp_path, CHURN)


def test_the_bundle_is_stored_looked_at_and_published_from_where_it_was_seen(
    mlpromote: CommandLine, app: StubApp
) -> None:
    app.will_answer(STORED, preview(), Answer({**source(DIGEST, OLDER), "changes": [CHANGED]}))
    ended = mlpromote("publish", *ASKED)
    assert ended.code == 0
    stored, looked, published = app.asked
    assert (stored.method, stored.path) == ("PUT", f"/api/sources/churn-team/bundles/{DIGEST}")
    assert bundle.read(stored.body) == CHURN
    assert (looked.path, looked.body) == ("/api/sources/churn-team/preview", {"digest": DIGEST})
    assert published.path == "/api/sources/churn-team/publish"
    assert published.body == {"digest": DIGEST, "expected": OLDER, "reason": "score.py reads bundles"}
    assert ended.output.splitlines() == [
        "churn-team/scores: changed",
        "  stages.test.smoke.max_latency: (not set) → 500ms",
        "  scoring/score.py",
        f"churn-team: bundle {DIGEST[:12]} counts now",
    ]


def test_a_faulty_bundle_is_not_published_and_all_its_faults_are_said(mlpromote: CommandLine, app: StubApp) -> None:
    faults = [{"place": f"routes.{name}.from", "sentence": "unknown environment"} for name in ("a", "b")]
    app.will_answer(STORED, preview(*faults))
    ended = mlpromote("publish", *ASKED)
    assert (ended.code, ended.output, len(app.asked)) == (ExitCode.REFUSED, "", 2)
    assert "The bundle has 2 faults:" in ended.errors
    assert "routes.b.from: unknown environment" in ended.errors


def test_who_was_too_late_is_told_what_the_app_says(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(STORED, preview(), problem(409, "Somebody else has published since you looked.", expected=OLDEST))
    ended = mlpromote("publish", *ASKED)
    assert (ended.code, "Somebody else has published" in ended.errors) == (ExitCode.REFUSED, True)


@pytest.mark.parametrize(
    ("shown", "digest"),
    [
        (source(DIGEST, OLDER, OLDEST), OLDER),
        (source(DIGEST, DIGEST, OLDER), OLDER),
        (source(DIGEST, OLDER, counts=OLDER, trouble="it cannot be used"), OLDER),
    ],
)
def test_it_goes_back_to_the_bundle_before_or_to_what_still_counts(
    mlpromote: CommandLine, app: StubApp, shown: dict[str, Any], digest: str
) -> None:
    app.will_answer(Answer(shown), Answer({**source(digest), "changes": [CHANGED]}))
    assert mlpromote("publish", *ASKED, "--back").code == 0
    assert app.asked[1].body == {"digest": digest, "expected": DIGEST, "reason": "score.py reads bundles"}


def test_it_goes_back_to_the_bundle_that_is_named(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer(source(DIGEST, OLDER, OLDEST)), Answer({**source(OLDEST), "changes": [CHANGED]}))
    assert mlpromote("publish", *ASKED, "--back", OLDEST[:12]).code == 0
    assert app.asked[1].body["digest"] == OLDEST
    ended = mlpromote("publish", *ASKED, "--back", "9")
    assert ended.code == ExitCode.NOT_FOUND


def test_there_may_be_nothing_to_go_back_to(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer(source(DIGEST)))
    ended = mlpromote("publish", *ASKED, "--back")
    assert (ended.code, "nothing else to go back to" in ended.errors) == (ExitCode.REFUSED, True)


def test_diff_shows_the_changes_and_publishes_nothing(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(STORED, preview())
    ended = mlpromote("diff", "--source", "churn-team")
    assert (ended.code, [each.method for each in app.asked]) == (0, ["PUT", "POST"])
    assert "  scoring/score.py" in ended.output.splitlines()


def test_diff_ends_with_an_error_for_a_faulty_bundle_and_gives_scripts_the_faults(
    mlpromote: CommandLine, app: StubApp
) -> None:
    app.will_answer(STORED, preview({"place": "routes", "sentence": "must not be empty"}))
    ended = mlpromote("diff", "--source", "churn-team", "--json")
    assert ended.code == ExitCode.REFUSED
    assert ended.document["faults"] == [{"place": "routes", "sentence": "must not be empty"}]


def test_the_only_source_need_not_be_named(
    mlpromote: CommandLine, app: StubApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.will_answer(Answer({"value": [source(DIGEST)]}), STORED, preview())
    assert mlpromote("diff").code == 0
    app.will_answer(Answer({"value": [source(DIGEST), source(DIGEST, source="credit-team")]}))
    ended = mlpromote("diff")
    assert ended.code == ExitCode.USAGE
    assert "--source churn-team or credit-team" in " ".join(ended.errors.split())
    monkeypatch.setenv("MLPROMOTE_SOURCE", "credit-team")
    app.will_answer(STORED, preview())
    assert mlpromote("diff").code == 0
    assert app.asked[-1].path == "/api/sources/credit-team/preview"


def test_sources_are_listed_with_what_counts_and_what_is_wrong(mlpromote: CommandLine, app: StubApp) -> None:
    nothing: dict[str, Any] = {"source": "credit-team", "published": None, "routes": [], "trouble": None}
    app.will_answer(Answer({"value": [source(DIGEST, trouble="bundle 9: broken"), nothing]}))
    told = " ".join(mlpromote("sources").output.split())
    assert f"churn-team {DIGEST[:12]}" in told
    assert "not used: bundle 9: broken" in told
    assert "credit-team –" in told


def test_the_history_of_a_source_says_what_counts_and_why(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(Answer({**source(DIGEST, OLDER), "history": [publication(DIGEST, back=True), publication(OLDER)]}))
    lines = mlpromote("sources", "churn-team").output.splitlines()
    assert any(f"{DIGEST[:12]} (counts)" in line and "back: a test" in line for line in lines)
    assert any(line.strip().startswith(OLDER[:12]) for line in lines)


def test_a_folder_with_files_that_cannot_be_published_sends_nothing(
    mlpromote: CommandLine, app: StubApp, folder: Path
) -> None:
    (folder / "smoke" / "churn.jsonl").unlink()
    ended = mlpromote("publish", *ASKED)
    assert (ended.code, app.asked) == (ExitCode.REFUSED, [])
    assert "promotion.yml names smoke/churn.jsonl, which does not exist" in " ".join(ended.errors.split())


def test_changed_values_are_written_as_in_the_file(mlpromote: CommandLine, app: StubApp) -> None:
    settings = [
        {"place": "require_tags", "before": None, "after": {"promote": "true"}},
        {"place": "models", "before": ["churn-*"], "after": ["churn-*", "rent"]},
        {"place": "stages.test.validate.auc", "before": {"at_least": 0.8, "higher_is_better": True}, "after": None},
        {"place": "stages.test.smoke.tolerance", "before": 0.0, "after": 0.01},
    ]
    seen = preview().body | {"changes": [{**CHANGED, "settings": settings, "files": []}]}
    app.will_answer(STORED, Answer(seen))
    assert mlpromote("--output", "wide", "diff", "--source", "churn-team").output.splitlines() == [
        "churn-team/scores: changed",
        "  require_tags: (not set) → {promote: 'true'}",
        "  models: [churn-*] → [churn-*, rent]",
        "  stages.test.validate.auc: {at_least: 0.8, higher_is_better: true} → (not set)",
        "  stages.test.smoke.tolerance: 0.0 → 0.01",
    ]


def test_who_may_only_publish_is_told_to_name_the_source(mlpromote: CommandLine, app: StubApp) -> None:
    app.will_answer(problem(403, "paul needs the role Promotion.Reader to see this."))
    ended = mlpromote("--token", "t", "publish", "--reason", "a test")
    assert ended.code == ExitCode.NOT_ALLOWED
    assert "Name the source: --source NAME, or set MLPROMOTE_SOURCE." in ended.errors
    assert "paul needs the role Promotion.Reader to see this." in ended.errors
