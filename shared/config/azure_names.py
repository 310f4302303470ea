"""What Azure accepts as a name, and how a model's name becomes an endpoint's.

Endpoint rules: `EndpointConfigurations` in azure-ai-ml. Names of models, workspaces and registries: the patterns of the
Azure ML REST specification. Function names: at most 128 letters, digits, hyphens and underscores, a letter first.
"""

import hashlib
import re
from dataclasses import dataclass

#: Stands for the model's name in an endpoint's template.
MODEL = "{model}"

SHORTEST_ENDPOINT = 3
LONGEST_ENDPOINT = 32

#: What a template may hold beside {model}, so that a shortened model name stays readable.
MOST_BESIDE_MODEL = 20

_ENDPOINT = re.compile("[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?")
_NOT_IN_ENDPOINT = re.compile("[^A-Za-z0-9]+")
_DIGEST_LENGTH = 6


@dataclass(frozen=True)
class Rule:
    """What a kind of name must look like: a regular expression for all of it, its greatest length, both in words."""

    pattern: str
    longest: int
    words: str

    def check(self, name: str) -> str:
        """`name`, if it keeps to the rule; else ValueError with the rule in words."""
        if not re.fullmatch(self.pattern, name) or len(name) > self.longest:
            raise ValueError(self.words)
        return name


#: Queues (`steps-<name>`, `reports-<name>`), whose names ignore case, and functions are named after an environment.
ENVIRONMENT = Rule(
    "[a-z]([a-z0-9-]*[a-z0-9])?",
    50,
    "an environment's name has at most 50 lower-case letters, digits and hyphens, a letter first and no hyphen last: "
    "queues and functions are named after it",
)

#: Names of routes and stages become part of message ids, of at most 128 characters, and of keys in the store.
LABEL = Rule(
    "[A-Za-z]([A-Za-z0-9_-]*[A-Za-z0-9])?",
    50,
    "the name of a route or stage has at most 50 letters, digits, hyphens and underscores, a letter first and a letter "
    "or digit last",
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
    "Azure refuses this name: 3 to 33 letters, digits, hyphens and underscores, a letter or digit first",
)


def check_endpoint(template: str) -> str:
    """`template`, if every model's endpoint named by it would be accepted by Azure."""
    before, found, behind = template.partition(MODEL)
    if "{" in before + behind or "}" in before + behind:
        raise ValueError(f"only {MODEL} can stand in braces, and only once")
    if found and len(before + behind) > MOST_BESIDE_MODEL:
        raise ValueError(f"leaves too little room for the model's name: at most {MOST_BESIDE_MODEL} other characters")
    # Whatever the model, its part of the name starts with a letter and ends with a letter or digit.
    if not is_endpoint(before + "model" + behind if found else template):
        raise ValueError(
            f"Azure refuses this endpoint name: {SHORTEST_ENDPOINT} to {LONGEST_ENDPOINT} letters, digits and hyphens, "
            "a letter first and no hyphen last"
        )
    return template


def is_endpoint(name: str) -> bool:
    """Whether Azure accepts `name` as an endpoint's."""
    return SHORTEST_ENDPOINT <= len(name) <= LONGEST_ENDPOINT and _ENDPOINT.fullmatch(name) is not None


def endpoint(template: str, model: str) -> str:
    """The endpoint's name for `model`: always the same, and always one that Azure accepts if `template` was checked.

    A model name that cannot stand there as it is (too long, `_`, `.`) is cleaned and cut, and gets a short hash of the
    whole name, because `churn_eu` and `churn.eu` must not meet on one endpoint.
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
