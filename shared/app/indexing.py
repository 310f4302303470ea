"""What is asked while functions are indexed, before there is an app."""

import os
from typing import TYPE_CHECKING

from shared.config.app_settings import AppSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.config.roles import Roles


def environments(variables: "Mapping[str, str]" = os.environ) -> list[str]:
    """The names of all environments of the configuration."""
    from shared.config import environment_names

    return environment_names(AppSettings.read(variables).configuration_file)


def roles_here(variables: "Mapping[str, str]" = os.environ) -> "Roles":
    """The roles of this app: whether it is the coordinator, and its workers."""
    from shared.config import roles

    return roles.roles_here(AppSettings.read(variables), environments(variables))


def approvals_are_taken_here(variables: "Mapping[str, str]" = os.environ) -> bool:
    """Whether an environment whose worker runs here may take approvals itself. The policies decide, but reading them
    takes longer."""
    from shared.config.indexing import may_take_approvals

    path = AppSettings.read(variables).configuration_file
    return bool(roles_here(variables).environments) and may_take_approvals(path)


def sign_in_is_required(variables: "Mapping[str, str]" = os.environ) -> bool:
    """Whether a function key alone gives no access."""
    from shared.config import sign_in

    return sign_in.is_required(AppSettings.read(variables))
