"""Whether an approval counts, by the roles and groups under which it was given and the environment's own policy."""

from shared.config.policy import ApprovalPolicy
from shared.core.approval import GivenApproval
from shared.ports import ApprovalDecision


def counts(policy: ApprovalPolicy | None, said: ApprovalDecision | GivenApproval) -> bool:
    """Return whether it was given under what the policy names.

    An earlier version of the app recorded neither roles nor groups (None). It had compared them with its own policy,
    and champions whose approvals it took must be able to come back.
    """
    if policy is None or said.roles is None or said.groups is None:
        return True
    return _has_one(said.roles, policy.named_roles) and _has_one(said.groups, policy.groups)


def _has_one(own: tuple[str, ...], wanted: tuple[str, ...] | None) -> bool:
    return not wanted or bool(set(own) & set(wanted))
