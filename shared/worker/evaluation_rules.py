"""The environment's rules about the evaluation that can be checked before the job runs."""

from collections.abc import Iterator

from shared.ports import JobFile
from shared.worker.gates import Verdict
from shared.worker.manifest import job_digest
from shared.worker.target import Target


def judge(target: Target, job: JobFile | None) -> Iterator[Verdict]:
    """Yield the verdicts. `job` is the stage's job, if it has one."""
    asked, stage = target.rules.policy.evaluation, target.stage.evaluate
    if asked is None:
        return
    gate = "policy: evaluation"
    if job is None or stage is None:
        yield Verdict(gate, asked.job, "the stage has no evaluation", False)
        return
    seen = job_digest(job)
    yield Verdict(gate, asked.job, seen, seen == asked.job)
    data = stage.asked()
    for name, wanted in sorted(asked.inputs.items()):
        given = data[name].name if name in data else "nothing"
        yield Verdict(f"{gate}, input {name}", wanted, given, given == wanted)
