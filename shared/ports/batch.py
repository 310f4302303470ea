"""Batch endpoints. A workspace shows them as it shows online endpoints; their default has all of the traffic."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from shared.ports.jobs import SubmittedJob


class EndpointKind(StrEnum):
    """What a workspace's endpoints are."""

    ONLINE = "online"
    BATCH = "batch"


@dataclass(frozen=True)
class Cluster:
    """A compute cluster of a workspace, whose nodes jobs use."""

    size: str  #: of its nodes
    most_nodes: int | None = None  #: that it scales to; None if Azure does not say
    is_low_priority: bool = False  #: Azure may take its nodes away; they have a quota and prices of their own


@dataclass(frozen=True)
class Invocation:
    """What a batch deployment is invoked with."""

    name: str  #: of the job
    asset: str  #: id of the data asset that it reads
    type: str  #: of that: uri_file, uri_folder or mltable
    output: str  #: path of the file that it writes, in the workspace's default blob datastore
    experiment: str


class BatchInvocations(Protocol):
    """Invocations of batch endpoints, which are jobs. Nothing waits, as in `Workspace`."""

    def cluster(self, name: str) -> Cluster | None: ...  # None if there is no such cluster
    def start_invocation(self, endpoint: str, deployment: str, invocation: Invocation) -> SubmittedJob: ...
    def written(self, path: str, most: int) -> bytes | None: ...  # at most so many bytes of a file of that datastore
