"""All parts and the app from one description: as a command, `python -m localcloud up`, and as a library."""

from localcloud.up.command import add_arguments, serve
from localcloud.up.description import Description, read_description
from localcloud.up.local_cloud import LocalCloud
from localcloud.up.ports import Ports
from localcloud.up.supervisor import PartFailedError

__all__ = ["Description", "LocalCloud", "PartFailedError", "Ports", "add_arguments", "read_description", "serve"]
