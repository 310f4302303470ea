"""What the configuration says, and the workspaces that it names."""

import json
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from shared.app.connections import Connections
from shared.app.indexing import roles_here
from shared.app.made_once import made_once

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.cloud.bundle_folders import BundleFolders
    from shared.config import Configuration, Environment, Places, Policy
    from shared.config.edited_file import EditedFile
    from shared.config.platform import Platform
    from shared.config.roles import Roles
    from shared.coordinator.published import Published, SourceState
    from shared.ports import Workspace
    from shared.worker.order import Rules


class Configured(Connections):
    """The app's own `promotion.yml`, or the bundles that teams published, read again when they change."""

    def __init__(self, variables: "Mapping[str, str]") -> None:
        super().__init__(variables)
        self._workspaces: dict[tuple[str, str], Workspace] = {}

    @property
    def roles(self) -> "Roles":
        return roles_here(self._variables)

    @made_once
    def folder(self) -> Path:
        """The folder of `promotion.yml` and the files that it names."""
        return self.settings.configuration_path.parent

    @property
    def configuration(self) -> "Configuration":
        """The configuration as it is now. Raises `ConfigurationFaults` with every fault in the file."""
        if self.is_platform:
            found: Configuration = self.published.configuration()
            return found
        configuration: Configuration = self._file.content
        return configuration

    @property
    def newest_configuration(self) -> "Configuration":
        """The same, with what another process may have published a moment ago. Reads a pointer for each source."""
        if self.is_platform:
            self.published.forget()
        return self.configuration

    @made_once
    def is_platform(self) -> bool:
        """Whether routes come from published bundles, not from the app's own file."""
        from shared.config.platform import is_platform

        return is_platform(self.settings.configuration_file)

    @made_once
    def platform(self) -> "Platform":
        """The platform's file. Raises `ConfigurationFaults` with every fault in it."""
        from shared.config.platform import load_platform

        return load_platform(self.settings.configuration_file, self._variables)

    @made_once
    def _file(self) -> "EditedFile[Configuration]":
        from shared.config import load
        from shared.config.edited_file import EditedFile

        return EditedFile(self.settings.configuration_path, lambda path: load(path, self._variables))

    @property
    def places(self) -> "Places":
        """The registry and the environments that have a worker here; other environments' settings are not needed."""
        places: Places = self._places.content
        return places

    @made_once
    def _places(self) -> "EditedFile[Places]":
        from shared.config import load_places
        from shared.config.edited_file import EditedFile

        read = partial(load_places, settings=self._variables, names=self.roles.environments)
        return EditedFile(self.settings.configuration_file, read)

    @made_once
    def bundle_folders(self) -> "BundleFolders":
        """The files of bundles on this machine, verified."""
        from shared.cloud.bundle_folders import BundleFolders

        return BundleFolders(lambda: self.bundles, Path(tempfile.gettempdir()) / "mlpromote-bundles")

    def bundle_folder(self, digest: str) -> Path:
        """The folder of a bundle's files. Raises `RejectedError`; `StoreUnavailableError` if it cannot be read now."""
        from shared.ports import StoreUnavailableError

        try:
            folder: Path = self.bundle_folders.folder(digest)
        except Exception as fault:
            if self.is_unavailable(fault):
                raise StoreUnavailableError(f"bundle {digest[:12]} cannot be read: {fault}") from fault
            raise
        return folder

    @made_once
    def published(self) -> "Published":
        """What the sources of the platform's file have published."""
        from shared.coordinator.published import Published

        folders = self.bundle_folders
        return Published(
            lambda: self.platform, lambda: self.bundles, folders.folder, self.is_unavailable, self._tell_of_refusal
        )

    def _tell_of_refusal(self, state: "SourceState") -> None:
        if self.topic is not None:
            self.topic.tell_of_source(state.name, state.pointer.digest if state.pointer else "", state.trouble)

    def take_up_bundles(self) -> None:
        """Read what was published, even if nobody asks for it now."""
        if self.is_platform:
            self.published.states()

    def _known_to_workers(self) -> "Configuration | None":
        """The configuration as far as an app without the coordinator's role knows it."""
        from shared.config.loading import load_as_worker

        names = self.roles.environments
        return load_as_worker(self.settings.configuration_file, self._variables, names)

    def _policy(self, environment: str) -> "Policy | None":
        found = self.places.environments.get(environment)
        return found.policy if found else None

    def rules(self, environment: str) -> "Rules":
        """The rules of an environment whose worker runs here."""
        from shared.worker.order import Rules

        places = self.places  # it looks at the file each time
        here = places.environments[environment]
        policy = here.policy
        rules = Rules(
            policy,
            source=self._source(here, environment),
            url=self.settings.address,
            workspace=here.workspace.id,
            prices=places.prices,
            currency=places.currency,
            shares_data=self._shared_data[environment],
        )
        return replace(rules, approvals=self.approvals) if policy.taken_by_environment else rules

    @property
    def _shared_data(self) -> "Mapping[str, frozenset[str]]":
        """By environment: the names of the data assets that may leave it for the registry."""
        if self.is_platform:  # routes are other teams', so the environment's own policy says it
            return {name: frozenset(each.policy.share_data) for name, each in self.places.environments.items()}
        shared: Mapping[str, frozenset[str]] = self._data_of_routes.content
        return shared

    @made_once
    def _data_of_routes(self) -> "EditedFile[Mapping[str, frozenset[str]]]":
        from shared.config.edited_file import EditedFile
        from shared.config.sources import shared_data

        here = self.roles.environments
        return EditedFile(
            self.settings.configuration_file, lambda file: {name: shared_data(file, name) for name in here}
        )

    def workspace(self, environment: str) -> "Workspace":
        """The environment's workspace with the environment's identity. Kept, because it caches addresses."""
        return self._workspace(self.places.environments[environment].workspace.id, environment)

    def _source(self, here: "Environment", environment: str) -> "Workspace | None":
        """The workspace that models come from, if the environment's identity may read it."""
        found = here.policy.source_workspace
        return self._workspace(found.id, environment) if found else None

    def _workspace(self, workspace: str, environment: str) -> "Workspace":
        """A workspace with the environment's identity."""
        if (workspace, environment) not in self._workspaces:
            from shared.cloud.azureml import AzureMLWorkspace

            identity = self.places.environments[environment].identity
            cloud = json.loads(self.settings.azureml_cloud) if self.settings.azureml_cloud else None
            self._workspaces[workspace, environment] = AzureMLWorkspace(
                workspace, self.places.registry, identity, cloud
            )
        return self._workspaces[workspace, environment]
