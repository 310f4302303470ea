"""What the parts of the control plane that keep resources work with."""

from dataclasses import dataclass

from localcloud.azureml.events import Outbox
from localcloud.azureml.faults import Faults
from localcloud.azureml.operations import Operations
from localcloud.azureml.rights import Rights
from localcloud.azureml.scopes import Scopes
from localcloud.azureml.store import Store


@dataclass(frozen=True)
class SharedParts:
    """Made once for a control plane."""

    store: Store
    scopes: Scopes
    rights: Rights
    operations: Operations
    outbox: Outbox
    faults: Faults
