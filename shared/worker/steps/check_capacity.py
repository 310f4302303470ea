"""Finds out what the deployment will take of the quota, and whether that is left, before anything is spent.

Only reads. The deployment that serves stays while the new one is made, so both need room. Where the quota cannot be
read, nothing is refused: Azure will say so when it deploys.

A batch deployment takes nothing by itself. Its jobs take nodes of a cluster while they run, and wait where there is no
room, so nothing is refused there either.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from shared.core.messages import Failed, FailureKind, Outcome, Succeeded, as_evidence
from shared.ports import Deployment, ForbiddenError, MachineSize, Quota, RejectedError, UnavailableError
from shared.worker import capacity, kept
from shared.worker.order import Step
from shared.worker.target import Target

#: A promotion does not wait for figures that only inform: from this poll on, what cannot be read is unknown.
_LAST_TRY = 4


@dataclass(frozen=True)
class Running:
    """A deployment that runs beside the new one."""

    name: str
    size: str
    instances: int
    cores: int | None = None  #: of the quota; None if unknown


@dataclass(frozen=True)
class CheckedCapacity:
    """What the promotion will take. Cores are those of the quota, with what Azure keeps for upgrades."""

    size: str = ""  #: of the new deployment's instances; empty if its file names none
    instances: int | None = None
    cores: int | None = None  #: that the new deployment needs; None if unknown
    beside: tuple[Running, ...] = ()  #: the endpoint's other deployments
    cores_together: int | None = None  #: of all of them at once
    quota: str = ""  #: Azure's name of the quota that decides
    left: int | None = None  #: cores of it that are free then; None if unknown
    removed_first: tuple[str, ...] = ()  #: deployments that are gone by then, which make room
    unknown: str = ""  #: why something is unknown, in a sentence
    cost: float | None = None  #: of the new deployment for an hour; None without a price
    cost_together: float | None = None
    currency: str = ""
    #: Of a batch deployment: the cluster whose nodes a job takes while it runs. `size`, `instances`, `cores` and `cost`
    #: are those of a job then. None for an online deployment.
    cluster: str | None = None
    most_nodes: int | None = None  #: that the cluster scales to


@dataclass(frozen=True)
class _Region:
    """What the subscription has in the workspace's region, as far as it can be read."""

    sizes: dict[str, MachineSize]  #: by name in small letters
    quotas: Sequence[Quota] = ()
    unknown: str = ""


def run(target: Target) -> Outcome:
    described = target.workspace.deployment_file(target.deployment_file)
    if target.is_batch:
        return _succeeded(_of_jobs(target, described.compute, described.instances or 1))
    size, instances = described.instance_type, described.instances
    if not size or not instances:
        return _succeeded(CheckedCapacity(unknown="The deployment file names no instance type."))
    there = [each for each in target.workspace.deployments(target.endpoint) if each.instance_type and each.instances]
    gone = _removed_first(target)
    region = _read(target, [size, *(each.instance_type or "" for each in there)])
    beside = [each for each in there if each.name not in gone]
    found = _checked(target, size, instances, beside, [each for each in there if each.name in gone], region)
    if found.cores is None or found.left is None or found.cores <= found.left:
        return _succeeded(found)
    return _too_little(target, found)


def _of_jobs(target: Target, name: str, instances: int) -> CheckedCapacity:
    """What a job of a batch deployment takes that asks for so many nodes of the cluster."""
    cluster = target.workspace.cluster(name) if name else None
    if cluster is None:
        return CheckedCapacity(cluster=name, unknown=f"The workspace has no cluster {name or '(none is named)'}.")
    nodes = min(instances, cluster.most_nodes) if cluster.most_nodes else instances
    job = CheckedCapacity(cluster.size, nodes, cluster=name, most_nodes=cluster.most_nodes)
    if cluster.is_low_priority:
        return replace(job, unknown="Low-priority nodes have a quota and prices of their own, which nobody read.")
    region = _read(target, [cluster.size])
    machine = region.sizes.get(cluster.size.casefold())
    quota = capacity.quota_of(machine, region.quotas) if machine else None
    cost = capacity.price(target.rules.prices, cluster.size, nodes)
    return replace(
        job,
        cores=machine.cores * nodes if machine else None,  # a cluster keeps none for upgrades
        quota=quota.name if quota else "",
        left=quota.left if quota else None,
        unknown=_unknown(region, cluster.size, machine, quota),
        cost=cost,
        currency=target.rules.currency if cost is not None else "",
    )


def _removed_first(target: Target) -> set[str]:
    """The names of deployments that are removed before the new one is made: what an earlier attempt has left, and what
    earlier promotions keep."""
    rollout, endpoint = target.stage.rollout, None
    if rollout is not None and rollout.keep is not None:
        endpoint = target.workspace.endpoint(target.endpoint)
    others = kept.by_others(target, endpoint) if endpoint is not None and target.owns(endpoint) else ()
    return {target.deployment, *(each.name for each in others)}


def _read(target: Target, names: Sequence[str]) -> _Region:
    sizes: dict[str, MachineSize] = {}
    try:
        for name in {each.casefold() for each in names if each}:
            if size := target.workspace.machine_size(name):
                sizes[name] = size
        quotas = target.workspace.quotas()
    except UnavailableError as fault:
        if target.command.poll < _LAST_TRY:
            raise
        return _Region(sizes, unknown=str(fault))
    except (ForbiddenError, RejectedError) as fault:
        return _Region(sizes, unknown=str(fault))
    return _Region(sizes, quotas, "" if quotas else "Azure reports no quotas for this region.")


def _checked(
    target: Target,
    size: str,
    instances: int,
    beside: Sequence[Deployment],
    gone: Sequence[Deployment],
    region: _Region,
) -> CheckedCapacity:
    machine, running, leaving = region.sizes.get(size.casefold()), _running(beside, region), _running(gone, region)
    freed = [(region.sizes[each.size.casefold()], each.cores) for each in leaving if each.cores is not None]
    quota = capacity.quota_of(machine, capacity.without(region.quotas, freed)) if machine else None
    needed = capacity.cores(machine, instances) if machine else None
    theirs = [each.cores for each in running]
    known = [each for each in theirs if each is not None]
    prices = target.rules.prices
    cost = capacity.price(prices, size, instances)
    costs = [capacity.price(prices, each.size, each.instances) for each in running]
    priced = [each for each in costs if each is not None]
    return CheckedCapacity(
        size=size,
        instances=instances,
        cores=needed,
        beside=running,
        cores_together=needed + sum(known) if needed is not None and len(known) == len(theirs) else None,
        quota=quota.name if quota else "",
        left=quota.left if quota else None,
        removed_first=tuple(each.name for each in leaving) if quota else (),
        unknown=_unknown(region, size, machine, quota),
        cost=cost,
        cost_together=round(cost + sum(priced), 4) if cost is not None and len(priced) == len(costs) else None,
        currency=target.rules.currency if cost is not None else "",
    )


def _unknown(region: _Region, size: str, machine: MachineSize | None, quota: Quota | None) -> str:
    """Why the quota is not known; empty if it is."""
    if region.unknown:
        return region.unknown
    if machine is None:
        return f"Azure lists no size {size} in this region."
    return "" if quota else f"Azure reports no quota for {size} in this region."


def _running(deployments: Sequence[Deployment], region: _Region) -> tuple[Running, ...]:
    found = []
    for each in deployments:
        size, instances = each.instance_type or "", each.instances or 0
        machine = region.sizes.get(size.casefold())
        found.append(Running(each.name, size, instances, capacity.cores(machine, instances) if machine else None))
    return tuple(found)


def _too_little(target: Target, found: CheckedCapacity) -> Failed:
    left = f"{found.left} are left{_once(found)}"
    stays = f" while {', '.join(each.name for each in found.beside)} stays" if found.beside else ""
    return Failed(
        f"The deployment needs {found.cores} cores of the quota {found.quota!r} for {found.instances} × {found.size} "
        f"(with what Azure keeps for upgrades), and {left}{stays}. Nothing was deployed. Ask for more "
        f"quota, remove deployments that nobody needs, or name fewer or smaller instances in "
        f"{target.stage.deployment}, then retry.",
        FailureKind.QUOTA,
        evidence=as_evidence(found),
    )


def _succeeded(found: CheckedCapacity) -> Succeeded:
    return Succeeded(as_evidence(found), says=in_words(found))


def in_words(found: CheckedCapacity) -> str:
    """What the promotion will take, in one line."""
    if found.instances is None:
        return f"what it takes is unknown: {found.unknown}"
    if found.cluster:
        return _of_jobs_in_words(found)
    parts = [f"takes {found.instances} × {found.size}", *_quota_in_words(found)]
    if found.cost is not None:
        together = (
            f", {found.cost_together:.2f} while both run" if found.beside and found.cost_together is not None else ""
        )
        parts.append(f"{found.cost:.2f} {found.currency} an hour{together}")
    return "; ".join(parts)


def _of_jobs_in_words(found: CheckedCapacity) -> str:
    most = f", which has at most {found.most_nodes}" if found.most_nodes is not None else ""
    takes = f"takes nothing while no job runs; a job takes {found.instances} × {found.size} of {found.cluster}{most}"
    parts = [takes, *_quota_in_words(found)]
    if found.left is not None and found.cores is not None and found.cores > found.left:
        parts.append("jobs may have to wait for nodes")
    if found.cost is not None:
        parts.append(f"{found.cost:.2f} {found.currency} an hour while it runs")
    return "; ".join(parts)


def _quota_in_words(found: CheckedCapacity) -> Iterator[str]:
    if found.cores is not None:
        left = f", {found.left} are left{_once(found)}" if found.left is not None else ""
        yield f"{found.cores} cores of the quota{left}"
    if found.left is None:
        yield "the quota that is left is unknown"


def _once(found: CheckedCapacity) -> str:
    """What has to go before that much is left."""
    if not found.removed_first:
        return ""
    return f" once {' and '.join(found.removed_first)} {'is' if len(found.removed_first) == 1 else 'are'} removed"


STEP = Step("check_capacity", run, CheckedCapacity, Target)
