"""What counts of what the sources have published, as one process of the app knows it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.cloud.bundle_folders import BundleFolders
from shared.config import bundle
from shared.config.platform import load_platform
from shared.config.written import SettingText
from shared.coordinator.published import REFRESH_SECONDS, Published, SourceState
from shared.ports import Publication, RejectedError
from tests.config.right import SETTINGS
from tests.config.teams import CHURN, PLATFORM, edited
from tests.fakes.bundles import FakeBundles

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
MENDED = edited(("scoring/score.py", "pass", "print()"))
WRONG = edited(("promotion.yml", "from: dev", "from: nowhere"))


class StorageAwayError(Exception):
    """The storage does not answer."""


@dataclass
class World:
    """A storage that can be away, and a process of the app with a clock."""

    folder: Path
    bundles: FakeBundles = field(default_factory=FakeBundles)
    seconds: float = 0.0
    away: bool = False
    refused: list[SourceState] = field(default_factory=list)
    moment: datetime = NOW

    def process(self) -> Published:
        """A new process of the app."""
        platform = load_platform(SettingText("MLPROMOTE_PLATFORM", PLATFORM), SETTINGS)
        folders = BundleFolders(self.reached, self.folder)
        is_away: Callable[[Exception], bool] = lambda fault: isinstance(fault, StorageAwayError)  # noqa: E731
        return Published(
            lambda: platform, self.reached, folders.folder, is_away, self.refused.append, lambda: self.seconds
        )

    def reached(self) -> FakeBundles:
        if self.away:
            raise StorageAwayError("no answer")
        return self.bundles

    def publish(self, files: dict[str, bytes], source: str = "churn-team") -> str:
        """Without the app's checks, as somebody with rights in the storage can."""
        digest = bundle.digest_of(files)
        self.bundles.keep(digest, bundle.archived(files))
        self.moment += timedelta(minutes=1)
        before = self.bundles.pointer(source)
        self.bundles.publish(source, Publication(digest, "id-paul", "paul", "a test", self.moment), before)
        return digest


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "unpacked")


def counts(published: Published, source: str = "churn-team") -> str | None:
    publication = published.state(source).publication
    return publication.digest if publication else None


def test_a_new_publication_counts_in_every_process_once_the_time_is_up(world: World) -> None:
    assert REFRESH_SECONDS < 60
    first, published = world.publish(dict(CHURN)), world.process()
    assert counts(published) == first
    second = world.publish(MENDED)
    world.seconds += REFRESH_SECONDS - 1
    assert counts(published) == first
    world.seconds += 1
    assert counts(published) == second
    assert published.configuration().routes["churn-team/scores"].bundle == second


def test_a_broken_bundle_does_not_count_in_a_process_that_starts_later_either(world: World) -> None:
    good = world.publish(dict(CHURN))
    bad = world.publish(WRONG)
    published = world.process()
    assert counts(published) == good
    assert "unknown environment 'nowhere'" in published.state("churn-team").trouble
    assert [(state.name, state.pointer and state.pointer.digest) for state in world.refused] == [("churn-team", bad)]


def test_what_is_refused_is_told_once(world: World) -> None:
    world.publish(WRONG)
    published = world.process()
    for _ in range(3):
        published.states()
        published.forget()
    assert len(world.refused) == 1


def test_a_bundle_whose_archive_is_missing_or_another_does_not_count(world: World) -> None:
    good, published = world.publish(dict(CHURN)), world.process()
    newest = world.publish(MENDED)
    world.bundles.archives[newest] = bundle.archived(CHURN)
    assert counts(world.process()) == good
    del world.bundles.archives[newest]
    assert counts(world.process()) == good
    assert f"There is no bundle {newest}" in world.process().state("churn-team").trouble
    world.bundles.keep(newest, bundle.archived(MENDED))
    assert counts(published) == newest, "it is looked for again"


def test_a_pointer_that_somebody_broke_leaves_what_counted(world: World) -> None:
    good, published = world.publish(dict(CHURN)), world.process()
    assert counts(published) == good
    world.bundles.broken.add("churn-team")
    published.forget()
    assert counts(published) == good
    assert published.state("churn-team").trouble == "the pointer names no bundle"


def test_while_the_storage_is_away_what_counted_still_counts(world: World) -> None:
    good, published = world.publish(dict(CHURN)), world.process()
    assert counts(published) == good
    world.away = True
    published.forget()
    assert counts(published) == good
    with pytest.raises(StorageAwayError):
        world.process().configuration()


def test_of_two_sources_that_want_the_same_the_second_is_refused_in_every_process(world: World) -> None:
    world.publish(dict(CHURN), "credit-team")
    first = counts(world.process(), "credit-team")
    world.publish(MENDED)
    for published in (world.process(), world.process()):
        assert counts(published) is None
        assert counts(published, "credit-team") == first
        assert "promoted by credit-team/scores already" in published.state("churn-team").trouble


class TestFolders:
    def test_a_folder_has_exactly_the_files_of_the_bundle(self, world: World) -> None:
        digest = world.publish(dict(CHURN))
        assert bundle.files_in(BundleFolders(world.reached, world.folder).folder(digest)) == dict(CHURN)

    def test_a_folder_that_somebody_changed_is_made_again(self, world: World) -> None:
        digest = world.publish(dict(CHURN))
        folder = BundleFolders(world.reached, world.folder).folder(digest)
        (folder / "scoring" / "score.py").write_text("evil")
        (folder / "more.py").write_text("evil")
        assert bundle.files_in(BundleFolders(world.reached, world.folder).folder(digest)) == dict(CHURN)

    def test_a_verified_folder_is_not_fetched_again(self, world: World) -> None:
        digest, folders = world.publish(dict(CHURN)), BundleFolders(world.reached, world.folder)
        folders.folder(digest)
        world.away = True
        assert folders.folder(digest).is_dir()

    @pytest.mark.parametrize("digest", ["", "..", "0" * 64, "/etc"])
    def test_what_is_no_bundle_is_refused(self, world: World, digest: str) -> None:
        with pytest.raises(RejectedError):
            BundleFolders(world.reached, world.folder).folder(digest)

    def test_an_archive_under_another_digest_is_refused(self, world: World) -> None:
        digest = world.publish(dict(CHURN))
        world.bundles.archives[digest] = bundle.archived(MENDED)
        with pytest.raises(RejectedError, match="is another one"):
            BundleFolders(world.reached, world.folder).folder(digest)

    def test_only_the_latest_are_kept_and_none_that_may_be_in_use(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("shared.cloud.bundle_folders.MOST_FOLDERS", 2)
        folders = BundleFolders(world.reached, world.folder)
        digests = [world.publish({**CHURN, "more.txt": str(number).encode()}) for number in range(4)]
        made = [folders.folder(digest) for digest in digests]
        assert all(each.is_dir() for each in made), "a step may still use them"
        monkeypatch.setattr("shared.cloud.bundle_folders.IN_USE_SECONDS", -1.0)
        folders.folder(digests[3])
        assert [each.is_dir() for each in made] == [False, False, True, True]
