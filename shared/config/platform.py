"""`platform.yml`: the environments with their rules, and who may publish which routes.

It belongs to the team that runs the app. The routes are in the bundles of other teams, which cannot change it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

from pydantic import Field, PrivateAttr, model_validator

from shared.config import document, patterns
from shared.config.configuration import Configuration, Places
from shared.config.faults import ConfigurationFaults, Fault, place
from shared.config.fields import GUID, EnvironmentName, Label, ModelPattern, Settings, Text
from shared.config.validation import validated
from shared.config.wording import did_you_mean
from shared.config.written import Readable

#: The key that distinguishes the platform's file from `promotion.yml`.
SOURCES = "sources"
#: The app role that lets people publish, unless a source names others.
PUBLISHER = "Promotion.Publisher"
#: Stands between a source and a route in the name of a published route. No label has it.
SEPARATOR = "/"


class Source(Settings):
    """A team that publishes routes, and what these may use."""

    models: tuple[ModelPattern, ...] = Field(
        min_length=1,
        default=("*",),
        description="Names of the models that its routes may promote or register. `*`, `?` and `[…]` work as in a "
        "shell. Default: any.",
    )
    environments: tuple[EnvironmentName, ...] = Field(
        default=(), description="The environments that its routes may use: keys of `environments`. Default: all."
    )
    publishers: tuple[Text, ...] = Field(
        min_length=1,
        default=(PUBLISHER,),
        description="Who may publish: app roles of Entra ID, and object ids of its groups. Any one is enough.",
    )
    _name: str = PrivateAttr("")

    @property
    def name(self) -> str:
        """Its key in `sources`."""
        return self._name

    @property
    def groups(self) -> frozenset[str]:
        """The groups among the publishers, by object id."""
        return frozenset(each.lower() for each in self.publishers if re.fullmatch(GUID, each))

    @property
    def roles(self) -> frozenset[str]:
        """The app roles among the publishers."""
        return frozenset(each for each in self.publishers if not re.fullmatch(GUID, each))

    def may_name(self, pattern: str) -> bool:
        """Whether all models that a route's pattern matches are this source's."""
        own = [each for each in self.models if each.endswith("*") and not re.search(r"[*?\[]", each[:-1])]
        plain = re.split(r"[*?\[]", pattern)[0]
        if plain == pattern:
            return patterns.matches(self.models, pattern)
        return pattern in self.models or any(plain.startswith(each[:-1]) for each in own)


class Platform(Places):
    """What the platform's team decides: the registry, the environments with their policies, and the sources."""

    sources: dict[Label, Source] = Field(min_length=1, description="The teams that publish routes, by name.")

    @model_validator(mode="after")
    def _name_the_sources(self) -> Self:
        for name, source in self.sources.items():
            source._name = name
        return self

    def without_routes(self) -> Configuration:
        """This platform as the configuration of an app to which nobody has published yet."""
        return Configuration.model_construct(registry=self.registry, environments=self.environments, routes={})


def is_platform(file: Readable) -> bool:
    """Whether a file is the platform's, not a `promotion.yml`. Raises ConfigurationFaults if it cannot be read."""
    content, _ = document.read(file)
    return isinstance(content, dict) and SOURCES in content


def load_platform(file: Readable, settings: Mapping[str, str]) -> Platform:
    """Load the platform's file, with each `${NAME}` taken from `settings`.

    Raises ConfigurationFaults with every fault.
    """
    content, found = document.read(file)
    content, missing = document.with_settings(content, settings)
    found += missing
    if isinstance(content, dict) and "routes" in content:
        says = "routes belong into the bundles of the sources; to keep them in this file, remove `sources`"
        found.append(Fault("routes", says))
        content = {key: value for key, value in content.items() if key != "routes"}
    platform, faults = validated(Platform, content, missing)
    found += [*faults, *_unknown_environments(content)]
    if platform is None or found:
        raise ConfigurationFaults(file, found)
    return platform


def _unknown_environments(content: Any) -> Iterator[Fault]:
    environments = content.get("environments") if isinstance(content, dict) else None
    sources = content.get(SOURCES) if isinstance(content, dict) else None
    if not isinstance(environments, dict) or not isinstance(sources, dict):
        return
    for name, source in sources.items():
        chosen = source.get("environments") if isinstance(source, dict) else None
        for position, each in enumerate(chosen if isinstance(chosen, list) else []):
            if isinstance(each, str) and each not in environments:
                where = place((SOURCES, name, "environments", position))
                yield Fault(where, f"unknown environment {each!r}; {did_you_mean(each, environments)}")


def published_name(source: str, route: str) -> str:
    """The name of a source's route in the app."""
    return f"{source}{SEPARATOR}{route}"


def source_of(route: str) -> str:
    """The source that a route's name tells; empty for a route of the app's own configuration."""
    source, separator, _ = route.partition(SEPARATOR)
    return source if separator else ""


def merged(platform: Platform, routes: Iterable[Any]) -> Configuration:
    """The configuration with these routes, which have their names in the app already."""
    by_name = {route.name: route for route in routes}
    # Each part is valid by itself. The names of published routes are no labels, so this cannot be validated again.
    return platform.without_routes().model_copy(update={"routes": by_name})
