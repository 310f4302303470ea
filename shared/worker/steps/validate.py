"""Decides whether the candidate may be deployed in this stage, and finds out before anything is spent if it can be.

Its evidence has a digest of all that would be deployed: people approve that, and `deploy` deploys nothing else.
"""

from pathlib import Path

from shared.core.messages import Failed, Outcome, RunStep, Succeeded
from shared.ports import Workspace
from shared.worker.review import evidence_of, review
from shared.worker.rules import Rules
from shared.worker.target import Target


def run(command: RunStep, workspace: Workspace, folder: Path, rules: Rules) -> Outcome:
    found = review(Target.of(command, folder), workspace, rules)
    if isinstance(found, Failed):
        return found
    return Succeeded(evidence_of(found.verdicts) | found.manifest.as_evidence())
