"""Azure ML's own loaders: what they say of a file, key by key."""

import contextlib
import io
import json
import logging
import os
import warnings
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import yaml

from mlpromote.checking.documents import Document
from mlpromote.checking.findings import Finding, Rule


class Kind(Enum):
    """A kind of file, with the loader of `azure.ai.ml.entities` for it."""

    DEPLOYMENT = "load_online_deployment"
    ENDPOINT = "load_online_endpoint"
    BATCH_DEPLOYMENT = "load_model_batch_deployment"
    BATCH_ENDPOINT = "load_batch_endpoint"
    JOB = "load_job"
    COMPONENT = "load_component"
    ENVIRONMENT = "load_environment"
    MONITOR = "load_schedule"


#: What the app fills in when a model is promoted.
_FILLED_IN = {
    Kind.DEPLOYMENT: {"name": "filled-in", "endpoint_name": "filled-in"},
    Kind.ENDPOINT: {"name": "filled-in"},
    Kind.BATCH_DEPLOYMENT: {"name": "filled-in", "endpoint_name": "filled-in"},
    Kind.BATCH_ENDPOINT: {"name": "filled-in"},
    Kind.MONITOR: {"name": "filled-in"},
}

#: Of what the app uses: the class that the loader must return, and what people call it.
_WANTED = {
    Kind.DEPLOYMENT: ("ManagedOnlineDeployment", "a managed online deployment"),
    Kind.ENDPOINT: ("ManagedOnlineEndpoint", "a managed online endpoint"),
    Kind.MONITOR: ("MonitorSchedule", "a monitor"),
}
#: The same for a job that the app submits.
_WANTED_OF_EVALUATION = ("Command", "a command job")

_CLOUD = "AZUREML_CURRENT_CLOUD"

#: By the name in the `$schema` of a file.
KINDS_BY_SCHEMA = {
    "managedOnlineDeployment": Kind.DEPLOYMENT,
    "managedOnlineEndpoint": Kind.ENDPOINT,
    "modelBatchDeployment": Kind.BATCH_DEPLOYMENT,
    "batchEndpoint": Kind.BATCH_ENDPOINT,
    "commandJob": Kind.JOB,
    "pipelineJob": Kind.JOB,
    "sweepJob": Kind.JOB,
    "commandComponent": Kind.COMPONENT,
    "pipelineComponent": Kind.COMPONENT,
    "environment": Kind.ENVIRONMENT,
    "monitorSchedule": Kind.MONITOR,
}
_WORDS = {
    "Missing data for required field.": "is missing",
    "Unknown field.": "is no key that Azure ML knows here",
    "Not a valid integer.": "must be a whole number",
    "Not a valid number.": "must be a number",
    "Not a valid boolean.": "must be true or false",
    "Not a valid string.": "must be text",
    "Field may not be null.": "must not be empty",
}
#: Of the kinds of value that a key may have, how many are named.
_MOST_ALTERNATIVES = 3

Steps = tuple[str, ...]


def findings(document: Document, kind: Kind, is_evaluation: bool = False) -> Iterator[Finding]:
    """Yield what the loader does not accept. Needs `azure-ai-ml`. `is_evaluation`: the app binds the job's inputs."""
    content = {key: value for key, value in document.content.items() if not (is_evaluation and key == "inputs")}
    wanted = _WANTED_OF_EVALUATION if is_evaluation else _WANTED.get(kind)
    fault = _refusal(content, document.file, kind, wanted)
    if fault is None:
        return
    for steps, sentence in dict.fromkeys(_sentences(fault)):
        words = _WORDS.get(sentence, sentence.rstrip("."))
        key = ".".join(steps)
        yield document.fault(steps, f"{key}: {words}" if key else words, Rule.AZURE_ML)


def _refusal(content: dict[str, Any], file: Path, kind: Kind, wanted: tuple[str, str] | None) -> str | None:
    """Return what the loader says of the file, or that it describes something else; None if it is as wanted."""
    # It looks up the cloud that the variable names when it is imported; nothing here asks any cloud.
    cloud = os.environ.pop(_CLOUD, None)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of how it uses its own libraries
            from azure.ai.ml.entities import _load_functions  # imported here because it takes seconds
            from azure.ai.ml.exceptions import MlException
            from marshmallow import ValidationError
    finally:
        if cloud is not None:
            os.environ[_CLOUD] = cloud

    logging.getLogger("azure.ai.ml").setLevel(logging.ERROR)  # it warns of each of its experimental classes
    load = getattr(_load_functions, kind.value)
    text = yaml.safe_dump({**content, **_FILLED_IN.get(kind, {})})
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = load(io.StringIO(text), relative_origin=str(file.resolve()))
    except (MlException, ValidationError, ValueError, TypeError, KeyError, AttributeError, OSError) as fault:
        # The SDK does not document what it raises for content of the wrong shape. These were observed.
        return str(fault)
    except NotImplementedError as fault:  # of a schedule: it cannot put its own refusal into words
        return str(fault.__context__)
    if wanted is not None and type(loaded).__name__ != wanted[0]:
        return f"does not describe {wanted[1]}"
    return None


def _sentences(text: str) -> Iterator[tuple[Steps, str]]:
    """Yield each complaint in the text of an error. Most are JSON between words, by key; some are JSON in JSON."""
    start = text.find("{")
    if start >= 0:
        try:
            document, _ = json.JSONDecoder().raw_decode(text[start:])
        except ValueError:
            document = None
        if isinstance(document, dict):
            yield from _in(document, ())
            return
    yield (), " ".join(text.split("\n\n")[0].split())


def _in(document: Any, steps: Steps) -> Iterator[tuple[Steps, str]]:
    if isinstance(document, dict) and isinstance(document.get("errors"), list):
        for each in document["errors"]:
            path = str(each.get("path") or "*")
            at = () if path == "*" else tuple(path.split("."))
            inner = list(_sentences(str(each.get("message"))))
            yield from ((at or where, sentence) for where, sentence in inner)
    elif isinstance(document, dict):
        for key, value in document.items():
            yield from _in(value, steps if key in ("_schema", "value") else (*steps, str(key)))
    elif isinstance(document, list):
        told = [each for each in document if isinstance(each, str)]
        if told:
            yield steps, " ".join(told)
        alternatives = [sentence for each in document if isinstance(each, dict) for _, sentence in _in(each, ())]
        if alternatives:
            yield steps, _one_of(alternatives)
    else:
        yield steps, str(document)


def _one_of(alternatives: list[str]) -> str:
    """Return what is wrong with a value that may be of several kinds, by the kinds that come closest."""
    told = [each for each in dict.fromkeys(alternatives) if each not in _WORDS] or list(dict.fromkeys(alternatives))
    return "; or ".join(each.rstrip(".") for each in told[:_MOST_ALTERNATIVES])
