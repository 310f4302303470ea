"""Two workspaces with one registry, as the adapter of Azure ML sees them, and as fakes: both pass the same tests."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest
from azure.ai.ml.entities import Data

from shared.ports import (
    EnvironmentAsset,
    Job,
    Workspace,
)
from tests.cloud.conftest import Registered, client, train
from tests.cloud.local_azure import LocalAzure, until
from tests.cloud.pipelines import train_in_steps
from tests.fakes.workspace import FakeRegistry, FakeWorkspace

T = TypeVar("T")


def found(one: T | None) -> T:
    assert one is not None
    return one


class Azure(ABC):
    """Two workspaces that share a registry, and what their users do there."""

    def __init__(self, dev: Workspace, test: Workspace) -> None:
        self.dev = dev
        self.test = test

    @abstractmethod
    def register(self, name: str, version: str = "1", **tags: str) -> None:
        """A data scientist registers files in dev."""

    @abstractmethod
    def create_data(self, name: str, in_test: bool = False) -> None:
        """A data scientist creates version 3 of a data asset in dev, or in test."""

    @abstractmethod
    def train(self) -> Job:
        """A job in dev has ended, with an output `model` and an accuracy of 0.75."""

    @abstractmethod
    def train_in_steps(self) -> str:
        """A pipeline in dev has ended: its step `measure` has logged an `auc` of 0.75, and its step `train` nothing."""

    @abstractmethod
    def have_no_room(self) -> None:
        """The next deployments in test fail for lack of quota."""

    @abstractmethod
    def stall(self) -> None:
        """No operation that has begun goes on, until `go_on`."""

    @abstractmethod
    def go_on(self) -> None:
        """Operations go on."""


class FakeAzure(Azure):
    def __init__(self) -> None:
        registry = FakeRegistry()
        self._dev = FakeWorkspace(registry, "ws-dev", polls_until_ready=1)
        self._test = FakeWorkspace(registry, "ws-test", polls_until_ready=1)
        own = "/subscriptions/s/workspaces/ws-dev/environments/sklearn/versions/1"
        self._dev.own.environments[own] = EnvironmentAsset(own, "sklearn", "1", "image", origin=own)
        super().__init__(self._dev, self._test)

    def register(self, name: str, version: str = "1", **tags: str) -> None:
        self._dev.has_model(name, version, tags=tags, created=datetime.now(UTC))

    def create_data(self, name: str, in_test: bool = False) -> None:
        (self._test if in_test else self._dev).has_data(name, "3", type="uri_file")

    def train(self) -> Job:
        job = Job("brave_fox", "Completed", "digits-training", outputs={"model": "custom_model"})
        self._dev.jobs[job.name] = job
        self._dev.job_metrics[job.name] = {"accuracy": 0.75, "loss": math.nan}
        return job

    def train_in_steps(self) -> str:
        self._dev.jobs["whole"] = Job("whole", "Completed", "churn-pipeline", is_pipeline=True)
        for number, node in enumerate(("train", "measure")):
            step = Job(f"step-{number}", "Completed", "churn-pipeline", parent="whole", root="whole", node=node)
            self._dev.jobs[step.name] = step
        self._dev.job_metrics["step-1"] = {"auc": 0.75}
        return "whole"

    def have_no_room(self) -> None:
        self._test.fails_to_deploy = "OutOfQuota: there is no room"

    def stall(self) -> None:
        """They go on only when somebody polls."""

    def go_on(self) -> None:
        """They do whenever somebody polls."""


class RealAzure(Azure):
    def __init__(self, azure: LocalAzure, registered: Registered, folder: Path) -> None:
        super().__init__(azure.workspace("dev"), azure.workspace("test"))
        self._azure = azure
        self._registered = registered
        self._folder = folder

    def register(self, name: str, version: str = "1", **tags: str) -> None:
        self._registered(name, version, **tags)

    def create_data(self, name: str, in_test: bool = False) -> None:
        rows = self._folder / f"{name}.csv"
        rows.write_text(name)
        client("test" if in_test else "dev", self._azure).data.create_or_update(
            Data(name=name, version="3", path=str(rows), type="uri_file")
        )

    def train(self) -> Job:
        return train(self._azure, self._folder)

    def train_in_steps(self) -> str:
        name = train_in_steps(self._azure, self._folder, f"model-of-{self._folder.name}")
        until(lambda: (job := self.dev.job(name)) and job.status == "Completed", "the pipeline's end")
        return name

    def have_no_room(self) -> None:
        self._azure.fault("out_of_quota")

    def stall(self) -> None:
        self._azure.fault("stalled", count=None)

    def go_on(self) -> None:
        self._azure.no_faults()


def chosen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azure]:
    """The fake or the real one, depending on the fixture's parameter."""
    if request.param == "fake":
        yield FakeAzure()
        return
    azure: LocalAzure = request.getfixturevalue("azure")
    yield RealAzure(azure, request.getfixturevalue("registered"), tmp_path_factory.mktemp("training"))
    azure.no_faults()
