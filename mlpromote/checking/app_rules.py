"""What the app refuses in a file that Azure ML's own loader accepts."""

from collections.abc import Iterator, Mapping
from typing import Any

from mlpromote.checking.documents import Document
from mlpromote.checking.findings import Finding, Rule
from mlpromote.checking.loaders import Kind

#: Keys of endpoints that the app sets itself, by kind.
_SET_BY_THE_APP = {Kind.ENDPOINT: ("traffic", "mirror_traffic"), Kind.BATCH_ENDPOINT: ("defaults",)}
#: The compute that would run a job on the machine that submits it.
_LOCAL = "local"


def findings(document: Document, kind: Kind, is_evaluation: bool) -> Iterator[Finding]:
    """Yield what is wrong with a file that a stage names. `is_evaluation`: it is a job that the app submits."""
    content = document.content
    for key in _SET_BY_THE_APP.get(kind, ()):
        if content.get(key):
            yield _fault(document, key, "the app sets it itself; remove it")
    if kind is Kind.BATCH_DEPLOYMENT and _is_of_pipeline(content):
        yield _fault(document, "type", "must describe a batch deployment of a model")
    if kind is Kind.JOB and is_evaluation:
        yield from _of_evaluation(document)


def _is_of_pipeline(content: Mapping[str, Any]) -> bool:
    return str(content.get("type") or "model").lower() != "model" or "component" in content


def _of_evaluation(document: Document) -> Iterator[Finding]:
    code = str(document.content.get("code") or "")
    if str(document.content.get("compute") or "").removeprefix("azureml:").lower() == _LOCAL:
        yield _fault(document, "compute", "local would run the job in the app; name a compute of the workspace")
    if "://" in code and not code.startswith("azureml://"):
        yield _fault(document, "code", "its content may change later; use a folder next to the file, or a code asset")


def _fault(document: Document, key: str, sentence: str) -> Finding:
    return document.fault((key,), f"{key}: {sentence}", Rule.CONFIGURATION)
