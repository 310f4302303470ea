"""Drives lanes: answers their commands as workers would, one by one and in order, until nothing is in flight."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from shared.core.commands import due
from shared.core.events import LaneEvent
from shared.core.lane import decide
from shared.core.messages import Outcome, RunStep
from shared.core.promotion import Lane
from tests.core.world import NOW, Azure, answer

#: A worker's outcome for a command; None: it succeeds.
Answers = Callable[[RunStep], Outcome | None]
SECOND = timedelta(seconds=1)
MOST_ANSWERS = 300


def success(command: RunStep) -> Outcome | None:
    return None


def by_step(outcomes: Mapping[str, Outcome]) -> Answers:
    """These outcomes by step; all others succeed."""
    return lambda command: outcomes.get(command.step)


class AzureAnswers:
    """The outcomes in a small Azure. Whatever is being deleted is gone by the next command."""

    def __init__(self, azure: Azure | None = None) -> None:
        self.azure = azure or Azure()

    def __call__(self, command: RunStep) -> Outcome:
        azure, outcome = self.azure.run(command)
        self.azure = azure.settled()
        return outcome


class LaneDriver:
    """Drives one lane by the rules alone. Others override what an event does, and where commands are found."""

    def __init__(
        self, lane: Lane, answers: Answers = success, now: datetime = NOW, pause: timedelta = timedelta(0)
    ) -> None:
        self.lane = lane
        self.answers = answers
        self.now = now  #: the clock moves to a command's time, and by the pause after each answer
        self.pause = pause

    def apply(self, event: LaneEvent) -> None:
        self.lane = decide(self.lane, event, self.now).lane

    def in_flight(self) -> Sequence[RunStep]:
        return due(self.lane)

    def moments(self) -> Iterator[RunStep]:
        """Each command, before it is answered. Ends when nothing is in flight. A caller that stops earlier finds the
        lane as it is then."""
        for _ in range(MOST_ANSWERS):
            commands = self.in_flight()
            if not commands:
                return
            command = commands[0]
            self.now = max(self.now, command.not_before)
            yield command
            self.apply(answer(command, self.answers(command)))
            self.now += self.pause
        raise AssertionError("the lane does not come to rest")

    def run(self, until: Callable[[RunStep], bool] = lambda command: False) -> Lane:
        """Run to the end, or until the next command is one of these."""
        for command in self.moments():
            if until(command):
                break
        return self.lane


def drive(lane: Lane, event: LaneEvent, azure: Azure) -> tuple[Lane, Azure]:
    """Decide and run until nothing is in flight, all at once and in order."""
    answers = AzureAnswers(azure)
    driver = LaneDriver(lane, answers, pause=SECOND)
    driver.apply(event)
    return driver.run(), answers.azure
