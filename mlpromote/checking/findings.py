"""What a check found: each finding with its file and its place there."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Rule(StrEnum):
    """What was checked."""

    CONFIGURATION = "configuration"  #: promotion.yml or platform.yml, by the app's rules
    FILE = "file"  #: whether a named file is there and can be read
    AZURE_ML = "azure-ml"  #: a file of Azure ML's, by its own loader
    REFERENCE = "reference"  #: what commands and pipelines refer to
    CODE = "code"  #: Python files, compiled
    SMOKE = "smoke"  #: smoke requests
    CONDA = "conda"  #: conda files
    SETTING = "setting"  #: a setting of the app, whose value is not known here


#: For lists of rules.
MEANINGS = {
    Rule.CONFIGURATION: "The configuration follows the rules of the app.",
    Rule.FILE: "Every file that is named is there and can be read.",
    Rule.AZURE_ML: "Azure ML's own loader accepts the file.",
    Rule.REFERENCE: "Commands and pipelines refer to inputs, outputs, steps and scripts that are there.",
    Rule.CODE: "Python files compile, and a scoring script has init and run.",
    Rule.SMOKE: "Each line of smoke requests is a request.",
    Rule.CONDA: "Conda files list their dependencies.",
    Rule.SETTING: "Settings of the app are known where the check runs.",
}


#: What to do about a finding.
REMEDIES = {
    Rule.CONFIGURATION: "Correct the place that the finding names. An editor that knows the JSON schema completes it.",
    Rule.FILE: "Add the file, or correct the path. Paths are relative to the file that names them.",
    Rule.AZURE_ML: "Correct the file. It is ordinary Azure ML YAML.",
    Rule.REFERENCE: "Correct the name, or declare what it refers to.",
    Rule.CODE: "Correct the code. A scoring script defines init() and run(data).",
    Rule.SMOKE: "Write one request on each line, as JSON.",
    Rule.CONDA: "Write a conda file with a list of dependencies.",
    Rule.SETTING: "Set the variable where the check runs, or name a file with --settings.",
}


@dataclass(frozen=True, order=True)
class Finding:
    """A fault, or a note on what could not be checked."""

    file: Path
    line: int  #: counted from 1
    column: int  #: counted from 1
    message: str
    rule: Rule
    is_note: bool = False
