"""The files that a configuration names, and the folders and files that those name."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mlpromote.checking import app_rules, code, conda, definitions, loaders, references
from mlpromote.checking.documents import Document, Naming, is_remote, mapping, read, stages, texts
from mlpromote.checking.findings import Finding, Rule
from mlpromote.checking.loaders import Kind
from shared.config import job_files, smoke_requests
from shared.config.analysis import JobAnalysis
from shared.config.evaluation import EvaluationSettings
from shared.config.faults import Steps
from shared.core.plan import BATCH_ENDPOINT

#: Keys of a stage that name a file of Azure ML's.
_OF_A_STAGE = {"deployment": Kind.DEPLOYMENT, "endpoint_file": Kind.ENDPOINT, "monitor": Kind.MONITOR}
#: The same where the endpoint is a batch endpoint.
_OF_A_BATCH_STAGE = {"deployment": Kind.BATCH_DEPLOYMENT, "endpoint_file": Kind.BATCH_ENDPOINT}
#: What the loader says of a step's component, whose file is checked by itself.
_IN_A_COMPONENT = re.compile(r"jobs\.[^.]+\.component\.")


class NamedFiles:
    """Checks files, each once however often it is named."""

    def __init__(self, configuration: Document) -> None:
        self._configuration = configuration
        self._folder = configuration.file.parent
        self.checked: set[Path] = set()
        self._evaluations: set[Path] = set()

    def findings(self) -> Iterator[Finding]:
        """Yield what is wrong with the files that the configuration names."""
        for name, route in mapping(self._configuration.content.get("routes")).items():
            steps = ("routes", str(name))
            definition = mapping(mapping(route).get("pipelines")).get("definition")
            yield from self._azureml(definition, Kind.JOB, (*steps, "pipelines", "definition"))
            yield from self._defined(definition, route, steps)
            for number, stage in stages(route):
                yield from self._of_stage(stage, (*steps, "stages", number))

    def by_schema(self, folder: Path) -> Iterator[Finding]:
        """Yield what is wrong with the other YAML files in a folder whose `$schema` says that they are Azure ML's."""
        for file in sorted([*folder.rglob("*.yml"), *folder.rglob("*.yaml")]):
            if any(part.startswith(".") for part in file.relative_to(folder).parts) or file.resolve() in self.checked:
                continue
            document = read(file, file.name, None)
            kind = _kind_by_schema(document.content) if isinstance(document, Document) else None
            if isinstance(document, Document) and kind is not None:
                yield from self._loaded(document, kind)

    def _of_stage(self, stage: Mapping[str, Any], steps: Steps) -> Iterator[Finding]:
        for key, kind in (_OF_A_BATCH_STAGE if BATCH_ENDPOINT in stage else _OF_A_STAGE).items():
            yield from self._azureml(stage.get(key), kind, (*steps, key))
        yield from self._job(mapping(stage.get("evaluate")), (*steps, "evaluate", "job"))
        analysis = mapping(stage.get("rollout")).get("analysis")
        for number, entry in enumerate(analysis if isinstance(analysis, list) else ()):
            yield from self._job(_analysing(mapping(entry)), (*steps, "rollout", "analysis", number, "job"))
        smoke = mapping(stage.get("smoke"))
        for name in texts(smoke.get("requests")):
            yield from self._smoke(name, smoke.get("tolerance"), (*steps, "smoke", "requests"))

    def _defined(self, name: Any, route: Any, steps: Steps) -> Iterator[Finding]:
        """Yield where a pipeline's definition does not fit the route."""
        for text in texts(name):
            definition = read(self._folder / text, text, None)
            if not isinstance(definition, Document):
                continue
            yield from definitions.of_steps(definition)
            for number, stage in stages(route):
                where = (*steps, "stages", number)
                yield from definitions.of_stage(self._configuration, stage, where, definition)

    def _azureml(self, name: Any, kind: Kind, steps: Steps) -> Iterator[Finding]:
        for text in texts(name):
            if (self._folder / text).resolve() in self.checked:
                continue
            document = read(self._folder / text, text, Naming(self._configuration, steps))
            if isinstance(document, Finding):
                self.checked.add((self._folder / text).resolve())
                yield document
            else:
                yield from self._loaded(document, kind)

    def _loaded(self, document: Document, kind: Kind) -> Iterator[Finding]:
        self.checked.add(document.file.resolve())
        local = [*self._local(document), *self._components(document)]
        yield from local
        yield from references.of_command(document)
        yield from references.of_pipeline(document)
        lacks_file = any(each.rule is Rule.FILE for each in local)
        for each in loaders.findings(document, kind, self._is_evaluation(document)):
            # Of a file that is not there, the loader says that the whole document is wrong, or what names the file.
            is_vague = (each.line, each.column) == (1, 1) or each.message.endswith(loaders.NO_FILE)
            if not (lacks_file and (is_vague or each.rule is Rule.FILE)) and not _IN_A_COMPONENT.match(each.message):
                yield each
        yield from app_rules.findings(document, kind, self._is_evaluation(document))

    def _is_evaluation(self, document: Document) -> bool:
        return document.file.resolve() in self._evaluations

    def _job(self, asked: Mapping[str, Any], steps: Steps) -> Iterator[Finding]:
        """Yield what is wrong with the file of a job whose inputs the app binds."""
        self._evaluations |= {(self._folder / name).resolve() for name in texts(asked.get("job"))}
        yield from self._azureml(asked.get("job"), Kind.JOB, steps)
        yield from self._contract(asked)

    def _contract(self, evaluate: Mapping[str, Any]) -> Iterator[Finding]:
        """Yield what the app asks of a job that evaluates."""
        try:
            asked = EvaluationSettings.model_validate(evaluate)
        except ValidationError:  # reported with the configuration
            return
        document = read(self._folder / asked.job, asked.job, None)
        if isinstance(document, Document):
            declared = document.content.get("inputs")
            names = declared if isinstance(declared, dict) else {}
            for sentence in job_files.of_inputs([str(each) for each in names], asked):
                yield document.fault(("inputs",), sentence.removeprefix(f"{asked.job} "), Rule.CONFIGURATION)

    def _smoke(self, name: str, tolerance: Any, steps: Steps) -> Iterator[Finding]:
        file = self._folder / name
        if file.resolve() in self.checked:
            return
        self.checked.add(file.resolve())
        if not file.is_file():
            yield Naming(self._configuration, steps).fault(f"{name} does not exist")
            return
        usual = float(tolerance) if isinstance(tolerance, int | float) else 0.0
        for line, sentence in smoke_requests.faults(file, usual):
            yield Finding(file, line, 1, sentence, Rule.SMOKE)

    def _local(self, document: Document) -> Iterator[Finding]:
        """Yield what is wrong with the local files that a file of Azure ML's names."""
        content = document.content
        scoring = content.get("code_configuration")
        if scoring is not None:
            yield from self._scoring(document, scoring)
        for name in texts(content.get("code")):
            yield from self._code(document, name, ("code",))
        environment = mapping(content.get("environment"))
        steps: tuple[str, ...] = ("environment",)
        if not environment and ("conda_file" in content or "build" in content):
            environment, steps = content, ()
        for name in texts(environment.get("conda_file")):
            yield from self._conda(document, name, (*steps, "conda_file"))
        yield from self._build(document, mapping(environment.get("build")), (*steps, "build"))

    def _components(self, document: Document) -> Iterator[Finding]:
        """Yield what is wrong with the files of a pipeline's components."""
        for name, step in mapping(document.content.get("jobs")).items():
            for text in texts(mapping(step).get("component")):
                file = document.file.parent / text.removeprefix("file:")
                if is_remote(text):
                    continue
                component = read(file, text, Naming(document, ("jobs", str(name), "component")))
                if isinstance(component, Finding):
                    yield component
                elif file.resolve() not in self.checked:
                    yield from self._loaded(component, Kind.COMPONENT)

    def _scoring(self, document: Document, asked: Any) -> Iterator[Finding]:
        steps = ("code_configuration",)
        named = mapping(asked)
        script = next(texts(named.get("scoring_script")), None)
        folder = next(texts(named.get("code")), None)
        if script is None:
            yield document.fault(steps, "code_configuration needs a scoring_script", Rule.FILE)
        if folder is None:
            yield document.fault(steps, "code_configuration needs code, the folder of the scoring_script", Rule.FILE)
        if folder is None or is_remote(folder):
            return
        yield from self._code(document, folder, (*steps, "code"))
        path = document.file.parent / folder
        if script is None or not path.is_dir():
            return
        if not (path / script).is_file():
            shown = f"{folder.rstrip('/')}/{script}"
            yield document.fault((*steps, "scoring_script"), f"{shown} does not exist", Rule.FILE)
        elif (path / script).resolve() not in self.checked:
            self.checked.add((path / script).resolve())
            yield from code.of_scoring_script(path / script)

    def _code(self, document: Document, name: str, steps: Steps) -> Iterator[Finding]:
        if is_remote(name):
            return
        path = document.file.parent / name
        if not path.exists():
            yield document.fault(steps, f"{name} does not exist", Rule.FILE)
        elif path.is_dir() and path.resolve() not in self.checked:
            self.checked.add(path.resolve())
            yield from code.of_folder(path)

    def _conda(self, document: Document, name: str, steps: Steps) -> Iterator[Finding]:
        file = document.file.parent / name
        if is_remote(name):
            return
        packages = read(file, name, Naming(document, steps))
        if isinstance(packages, Finding):
            yield packages
        elif file.resolve() not in self.checked:
            self.checked.add(file.resolve())
            yield from conda.findings(packages)

    def _build(self, document: Document, build: Mapping[str, Any], steps: Steps) -> Iterator[Finding]:
        for context in texts(build.get("path")):
            folder = document.file.parent / context
            dockerfile = str(build.get("dockerfile_path") or "Dockerfile")
            if is_remote(context):
                continue
            if not folder.is_dir():
                yield document.fault((*steps, "path"), f"there is no folder {context}", Rule.FILE)
            elif not (folder / dockerfile).is_file():
                yield document.fault((*steps, "path"), f"there is no {dockerfile} in {context}", Rule.FILE)


def _analysing(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The entry of an analysis as the evaluation that its job is; as it stands if it is wrong."""
    try:
        job = JobAnalysis.model_validate(entry)
    except ValidationError:  # reported with the configuration
        return entry
    return job.evaluation("endpoint", "deployment", "champion").model_dump(by_alias=True, exclude_none=True)


def _kind_by_schema(content: Mapping[str, Any]) -> Kind | None:
    schema = content.get("$schema")
    name = schema.rpartition("/")[2].partition(".")[0] if isinstance(schema, str) else ""
    return loaders.KINDS_BY_SCHEMA.get(name)
