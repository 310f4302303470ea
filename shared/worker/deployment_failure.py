"""Works out why a deployment failed, from Azure ML's error and the container's log."""

from shared.core.messages import Failed, FailureKind
from shared.ports import Deployment
from shared.worker import container_log, error_kinds

#: The order matters: a container's error often names things that were not found.
_KINDS = (
    (FailureKind.QUOTA, r"quota|OutOfCapacity|not enough capacity"),
    (FailureKind.PERMISSION, r"authoriz|forbidden|permission|access ?denied|acrpull|\b403\b"),
    (FailureKind.BAD_CONFIG, r"image ?build|invalid"),
    (FailureKind.CONTAINER_CRASH, r"crash|terminated|exited|liveness|readiness|not ?ready|user ?script|traceback"),
    (FailureKind.TIMEOUT, r"time[d-]? ?out"),
    (FailureKind.NOT_FOUND, r"not ?found|does not exist"),
)
_ADVICE = {
    FailureKind.QUOTA: "Request more quota, choose a smaller instance_type or instance_count, or free unused resources",
    FailureKind.PERMISSION: "Give the endpoint's identity the missing rights",
    FailureKind.BAD_CONFIG: "Correct the deployment file",
    FailureKind.CONTAINER_CRASH: "Fix the scoring code",
    FailureKind.TIMEOUT: "Make the container start faster, or raise the limits of its probes",
    FailureKind.NOT_FOUND: "Correct the reference in the deployment file",
    FailureKind.UNKNOWN: "Look up the cause in Azure ML studio, or let the environment's identity read it",
}

#: Codes such as BadArgument say little. A traceback in the log says more.
_MAY_BE_A_CRASH = (FailureKind.BAD_CONFIG, FailureKind.TIMEOUT, FailureKind.NOT_FOUND, FailureKind.UNKNOWN)


def failed(deployment: Deployment, log: str) -> Failed:
    """The outcome for a failed deployment: the cause in the reason, and the end of the log."""
    found = container_log.cause(log)
    kind = kind_of(deployment.error)
    if found and kind in _MAY_BE_A_CRASH:
        kind = FailureKind.CONTAINER_CRASH
    why = deployment.error or f"only that its state is {deployment.state}. {deployment.unread}"
    said = (
        f"{container_log.cause_and_place(log)} (from its log); Azure ML says {why}"
        if found
        else why
        if deployment.error
        else f"Azure ML says {why}"
    )
    return Failed(
        f"Deployment {deployment.name} failed. {_ADVICE[kind]}, then retry. The cause: {said.rstrip('. ')}.",
        kind,
        diagnosis="\n".join(([found, ""] if found else []) + container_log.chosen(log)),
        evidence={"deployment": deployment.name, "error": deployment.error, "cause": found},
    )


def kind_of(error: str) -> FailureKind:
    """The class of an Azure ML error, given as `code: message`; the text is empty if it could not be read."""
    return error_kinds.kind_of(error, _KINDS, FailureKind.BAD_CONFIG if error.strip() else FailureKind.UNKNOWN)
