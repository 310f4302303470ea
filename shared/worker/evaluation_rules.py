"""The environment's rules about the evaluation that can be checked before the job runs."""

from collections.abc import Iterator, Sequence

from shared.config.pipeline_stage import SERVERLESS
from shared.config.policy import Policy
from shared.ports import JobFile
from shared.worker.gates import Verdict
from shared.worker.manifest import job_digest
from shared.worker.target import Target


def judge(target: Target, job: JobFile | None) -> Iterator[Verdict]:
    """Yield the verdicts. `job` is the stage's job, if it has one."""
    if job is not None:
        yield from _machines(target.rules.policy, job)
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


def _machines(policy: Policy, job: JobFile) -> Iterator[Verdict]:
    """Where the job runs, which the environment pays for as for a pipeline's run. The owner of a compute has chosen its
    machines; serverless has those that the job names."""
    gate, compute = "policy: evaluation", job.compute or SERVERLESS
    if policy.computes:
        yield Verdict(f"{gate}, compute", " or ".join(policy.computes), compute, _is_among(compute, policy.computes))
    if policy.instance_types and not job.compute:
        seen = job.instance_type or "none named"
        allowed = _is_among(seen, policy.instance_types)
        yield Verdict(f"{gate}, instance type", " or ".join(policy.instance_types), seen, allowed)
    if policy.max_instances is not None:
        count = job.instances or 1
        yield Verdict(
            f"{gate}, instances", f"at most {policy.max_instances}", str(count), count <= policy.max_instances
        )


def _is_among(name: str, names: Sequence[str]) -> bool:
    return name.casefold() in {each.casefold() for each in names}
