"""Shows people what a promotion will take: instances, cores of the quota, and money. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

Evidence = Mapping[str, Any]


def in_short(evidence: Evidence) -> str:
    """Return one line; empty without evidence."""
    return ", ".join(capacity_lines(evidence))


def capacity_lines(evidence: Evidence) -> Iterator[str]:
    """Yield what the new deployment takes, what both take while both run, and what is unknown."""
    if evidence.get("cluster") and "instances" in evidence:
        yield from _of_jobs(evidence)
    elif "instances" in evidence:
        yield f"takes {evidence['instances']} × {evidence.get('size', '')}"
        yield from _cores(evidence)
        yield from _cost(evidence)
    if evidence.get("unknown"):
        yield f"unknown: {evidence['unknown']}"


def _of_jobs(evidence: Evidence) -> Iterator[str]:
    """Yield what a job of a batch deployment takes."""
    yield "takes nothing while no job runs"
    most = f", which has at most {evidence['most_nodes']}" if "most_nodes" in evidence else ""
    yield f"a job takes {evidence['instances']} × {evidence.get('size', '')} of cluster {evidence['cluster']}{most}"
    yield from _cores(evidence)
    if evidence.get("cores", 0) > evidence.get("left", evidence.get("cores", 0)):
        yield "jobs may have to wait for nodes"
    if "cost" in evidence:
        yield f"{evidence['cost']:.2f} {evidence.get('currency', '')} an hour while a job runs"


def _cores(evidence: Evidence) -> Iterator[str]:
    if "cores" not in evidence:
        return
    gone = evidence.get("removed_first") or ()
    once = f" once {' and '.join(gone)} {'is' if len(gone) == 1 else 'are'} removed" if gone else ""
    left = f" of {evidence['left']} that are left{once} ({evidence.get('quota', '')})" if "left" in evidence else ""
    yield f"{evidence['cores']} cores{left}"
    if evidence.get("beside") and "cores_together" in evidence:
        yield f"{evidence['cores_together']} cores while both run"


def _cost(evidence: Evidence) -> Iterator[str]:
    if "cost" not in evidence:
        return
    currency = evidence.get("currency", "")
    together = evidence.get("cost_together")
    both = f", {together:.2f} while both run" if evidence.get("beside") and together is not None else ""
    yield f"{evidence['cost']:.2f} {currency} an hour{both}"
