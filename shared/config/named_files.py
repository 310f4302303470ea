"""The files that a configuration names, and what those name in turn: read before a promotion meets them.

Of Azure ML's YAML only what refers to local files is looked at; the rest is the SDK's to judge, when it is used.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from shared.config import job_files, monitor_files, plain_yaml, smoke_requests
from shared.config.configuration import Configuration
from shared.config.faults import Fault, Steps, place
from shared.config.monitor_files import Monitoring
from shared.config.stage import StageSettings

#: What the SDK, or the build, takes where a build context names no other.
_DOCKERFILE = "Dockerfile"


def named(configuration: Configuration) -> list[str]:
    """The files that the configuration names itself, each once."""
    stages = [stage for route in configuration.model_routes for stage in route.stages]
    files = [stage.deployment for stage in stages] + [stage.smoke.requests for stage in stages if stage.smoke]
    files += [stage.endpoint_file for stage in stages if stage.endpoint_file]
    files += [stage.monitor for stage in stages if stage.monitor]
    files += [route.pipelines.definition for route in configuration.pipeline_routes if route.pipelines.definition]
    files += [stage.evaluate.job for stage in stages if stage.evaluate]
    files += [stage.rollout.job.job for stage in stages if stage.rollout and stage.rollout.job]
    return list(dict.fromkeys(files))


def faults(configuration: Configuration, folder: Path) -> list[Fault]:
    """All that is wrong with the files. `folder` is that of the configuration."""
    found: dict[str, Fault] = {}
    for pipeline in configuration.pipeline_routes:
        if definition := pipeline.pipelines.definition:
            content = _yaml(folder / definition, definition)
            if isinstance(content, str):
                found[content] = Fault(place(("routes", pipeline.name, "pipelines", "definition")), content)
    for route in configuration.model_routes:
        for position, stage in enumerate(route.stages):
            for fault in _of_stage(stage, ("routes", route.name, "stages", position), folder):
                found.setdefault(fault.sentence, fault)  # several stages may share a file
    for fault in _of_monitors(configuration, folder):
        found.setdefault(fault.sentence, fault)
    return list(found.values())


def _of_monitors(configuration: Configuration, folder: Path) -> Iterator[Fault]:
    monitorings = []
    for route in configuration.model_routes:
        for position, stage in enumerate(route.stages):
            steps, file = ("routes", route.name, "stages", position, "monitor"), stage.monitor
            if file is None:
                continue
            content = _yaml(folder / file, file)
            if isinstance(content, str):
                yield Fault(place(steps), content)
                continue
            wrong = list(monitor_files.faults(content, route.models))
            yield from (Fault(place(steps), f"{file}: {sentence}") for sentence in wrong)
            if not wrong:
                workspace = configuration.environments[stage.environment].workspace.id
                monitorings.append(Monitoring(steps, file, str(content["name"]), route.models, workspace))
    yield from (Fault(place(each.steps), says) for each, says in monitor_files.shared(monitorings))


def _of_stage(stage: StageSettings, steps: Steps, folder: Path) -> Iterator[Fault]:
    where = place((*steps, "deployment"))
    yield from (Fault(where, sentence) for sentence in _of_deployment(folder / stage.deployment, stage.deployment))
    if stage.endpoint_file is not None:
        content = _yaml(folder / stage.endpoint_file, stage.endpoint_file)
        if isinstance(content, str):
            yield Fault(place((*steps, "endpoint_file")), content)
    if stage.evaluate is not None:
        yield from (
            Fault(place((*steps, "evaluate", "job")), sentence)
            for sentence in job_files.faults(folder / stage.evaluate.job, stage.evaluate)
        )
    if stage.rollout is not None and stage.rollout.job is not None:
        asked = stage.rollout.job.evaluation("endpoint", "deployment", "champion")
        where_job = place((*steps, "rollout", "analysis"))
        yield from (Fault(where_job, sentence) for sentence in job_files.faults(folder / asked.job, asked))
    if stage.smoke is not None:
        try:
            smoke_requests.read(folder / stage.smoke.requests, stage.smoke.tolerance)
        except ValueError as fault:
            yield Fault(place((*steps, "smoke", "requests")), str(fault))


def _of_deployment(file: Path, name: str) -> Iterator[str]:
    """`name`: of the file in the configuration. Paths in it are relative to its own folder."""
    content = _yaml(file, name)
    if isinstance(content, str):
        yield content
        return
    yield from _of_code(content.get("code_configuration"), file, name)
    environment = content.get("environment")
    if isinstance(environment, dict):
        yield from _of_environment(environment, file, name)


def _of_code(code: Any, file: Path, name: str) -> Iterator[str]:
    """A model of MLflow's needs no code."""
    if code is None:
        return
    source, script = (code.get("code"), code.get("scoring_script")) if isinstance(code, dict) else (None, None)
    if not isinstance(script, str) or not script:
        yield f"{name}: code_configuration needs a scoring_script"
    if not isinstance(source, str) or not source:
        yield f"{name}: code_configuration needs code, the folder of the scoring_script"
        return
    if _is_remote(source):
        return
    folder = file.parent / source
    if not folder.is_dir():
        yield f"{name}: there is no folder {source}, which it names as code"
    elif isinstance(script, str) and script:
        yield from _of_script(folder / script, f"{source.rstrip('/')}/{script}", name)


def _of_script(script: Path, shown: str, name: str) -> Iterator[str]:
    try:
        text = script.read_text(encoding="utf-8")
    except FileNotFoundError:
        yield f"{name}: there is no {shown}, which it names as scoring_script"
    except (OSError, UnicodeDecodeError) as fault:
        yield f"{name}: {shown} cannot be read: {fault}"
    else:
        if not text.strip():
            yield f"{name}: {shown} is empty"


def _of_environment(environment: Mapping[str, Any], file: Path, name: str) -> Iterator[str]:
    conda = environment.get("conda_file")
    if isinstance(conda, str) and not _is_remote(conda):
        content = _yaml(file.parent / conda, conda)
        if isinstance(content, str):
            yield f"{name}: conda_file: {content}"
        elif not isinstance(content.get("dependencies"), list):
            yield f"{name}: conda_file: {conda} has no list of dependencies"
    build = environment.get("build")
    context = build.get("path") if isinstance(build, dict) else None
    if isinstance(build, dict) and isinstance(context, str) and not _is_remote(context):
        dockerfile = str(build.get("dockerfile_path") or _DOCKERFILE)
        if not (file.parent / context).is_dir():
            yield f"{name}: there is no folder {context}, which it names as build.path"
        elif not (file.parent / context / dockerfile).is_file():
            yield f"{name}: there is no {dockerfile} in {context}, which it names as build.path"


def _yaml(file: Path, name: str) -> dict[str, Any] | str:
    """The mapping in a file, or a sentence that says why there is none."""
    try:
        content = plain_yaml.load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return f"there is no file {name}"
    except (OSError, UnicodeDecodeError, ValueError, yaml.YAMLError) as fault:
        return f"{name} cannot be read: {' '.join(str(fault).split())}"
    return content if isinstance(content, dict) else f"{name} is no YAML mapping"


def _is_remote(source: str) -> bool:
    """Whether it names an asset of a workspace or a registry, or an address."""
    return source.startswith(("azureml:", "/subscriptions/")) or "://" in source
