"""Azure's naming rules, and how an endpoint's name follows from a model's.

Endpoint rules: `EndpointConfigurations` in azure-ai-ml. Names of models, workspaces and registries: the patterns of the
Azure ML REST specification. Function names: at most 128 letters, digits, hyphens and underscores, first a letter.
"""

import hashlib
import re
from dataclasses import dataclass

#: Stands for the model's name in a template of an endpoint's or a monitor's name.
MODEL = "{model}"

SHORTEST_ENDPOINT = 3
LONGEST_ENDPOINT = 32

#: Characters that a template may have besides {model}, so that a shortened model name stays readable.
MOST_BESIDE_MODEL = 20

_ENDPOINT = re.compile("[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?")
_NOT_IN_ENDPOINT = re.compile("[^A-Za-z0-9]+")
_DIGEST_LENGTH = 6


@dataclass(frozen=True)
class Rule:
    """The rule for a kind of name: a pattern, a maximum length, and both in words."""

    pattern: str
    longest: int
    words: str

    def check(self, name: str) -> str:
        """Return `name` if it follows the rule; raise ValueError with the rule in words otherwise."""
        if not re.fullmatch(self.pattern, name) or len(name) > self.longest:
            raise ValueError(self.words)
        return name


#: Queues (`steps-<name>`, `reports-<name>`; case-insensitive) and functions are named after an environment.
ENVIRONMENT = Rule(
    "[a-z]([a-z0-9-]*[a-z0-9])?",
    50,
    "an environment's name may have at most 50 lower-case letters, digits and hyphens, starting with a letter and not "
    "ending with a hyphen, because queues and functions are named after it",
)

#: Route and stage names become part of message ids (at most 128 characters) and of keys in the store.
LABEL = Rule(
    "[A-Za-z]([A-Za-z0-9_-]*[A-Za-z0-9])?",
    50,
    "the name of a route or stage may have at most 50 letters, digits, hyphens and underscores, starting with a letter "
    "and ending with a letter or digit",
)

MODEL_NAME = Rule(
    "[A-Za-z0-9][A-Za-z0-9._-]*",
    255,
    "Azure ML refuses this model name: at most 255 letters, digits, full stops, hyphens and underscores, a letter or "
    "digit first",
)

#: Of workspaces and of registries.
WORKSPACE = Rule(
    "[A-Za-z0-9][A-Za-z0-9_-]{2,}",
    33,
    "Azure refuses this name: use 3 to 33 letters, digits, hyphens and underscores, starting with a letter or digit",
)


def check_endpoint(template: str) -> str:
    """Return `template` if Azure accepts the endpoint names that it gives; raise ValueError if not."""
    before, found, behind = template.partition(MODEL)
    if "{" in before + behind or "}" in before + behind:
        raise ValueError(f"{MODEL} is the only placeholder, and it can be used only once")
    if found and len(before + behind) > MOST_BESIDE_MODEL:
        raise ValueError(f"has more than {MOST_BESIDE_MODEL} characters besides the model's name")
    # For every model, its part of the name starts with a letter and ends with a letter or digit.
    if not is_endpoint(before + "model" + behind if found else template):
        raise ValueError(
            f"Azure refuses this name: use {SHORTEST_ENDPOINT} to {LONGEST_ENDPOINT} letters, digits and hyphens, "
            "starting with a letter and not ending with a hyphen"
        )
    return template


def is_endpoint(name: str) -> bool:
    """Return whether Azure accepts `name` for an endpoint."""
    return SHORTEST_ENDPOINT <= len(name) <= LONGEST_ENDPOINT and _ENDPOINT.fullmatch(name) is not None


def endpoint(template: str, model: str) -> str:
    """Return the endpoint's name for `model`. It is deterministic, and valid on Azure if `template` was checked.

    A model name that is not valid there (too long, `_`, `.`) is cleaned and cut, and gets a short hash of the whole
    name, because `churn_eu` and `churn.eu` must not share an endpoint.
    """
    name = template.replace(MODEL, model)
    if is_endpoint(name):
        return name
    before, _, behind = template.partition(MODEL)
    cleaned = _NOT_IN_ENDPOINT.sub("-", model).strip("-")
    if not before and not cleaned[:1].isalpha():
        cleaned = "m-" + cleaned
    digest = hashlib.sha256(model.encode()).hexdigest()[:_DIGEST_LENGTH]
    room = LONGEST_ENDPOINT - len(before) - len(behind) - len(digest) - 1
    return f"{before}{cleaned[:room].rstrip('-')}-{digest}{behind}"
