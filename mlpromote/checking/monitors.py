"""The names of monitors: each model and each stage needs one of its own."""

from collections.abc import Iterator, Mapping
from typing import Any

from mlpromote.checking.documents import Document, mapping, read, stages, texts
from mlpromote.checking.findings import Finding, Rule
from shared.config import monitor_files
from shared.config.monitor_files import Monitoring


def findings(configuration: Document) -> Iterator[Finding]:
    """Yield what is wrong with the names in the files that stages name as `monitor`."""
    environments = mapping(configuration.content.get("environments"))
    monitorings = []
    for route, position, models, stage in _stages(configuration.content):
        for file in texts(stage.get("monitor")):
            document = read(configuration.file.parent / file, file, None)
            if not isinstance(document, Document):
                continue  # reported with the other files
            wrong = list(monitor_files.faults(document.content, models))
            yield from (document.fault(("name",), sentence, Rule.CONFIGURATION) for sentence in wrong)
            environment = str(stage.get("environment"))
            workspace = mapping(environments.get(environment)).get("workspace") or environment
            if not wrong:
                steps = ("routes", route, "stages", position, "monitor")
                name = str(document.content["name"])
                monitorings.append(Monitoring(steps, file, name, models, str(workspace).rstrip("/")))
    for each, sentence in monitor_files.shared(monitorings):
        yield configuration.fault(each.steps, sentence, Rule.CONFIGURATION)


def _stages(content: Mapping[str, Any]) -> Iterator[tuple[str, int, tuple[str, ...], Mapping[str, Any]]]:
    """Yield route, position, the route's models and the settings of each stage that deploys models."""
    for name, route in mapping(content.get("routes")).items():
        models = mapping(route).get("models")
        known = tuple(text for item in models for text in texts(item)) if isinstance(models, list) else ()
        for position, stage in stages(route) if known else ():
            yield str(name), position, known, stage
