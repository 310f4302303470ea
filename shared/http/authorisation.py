"""Who may do what over HTTP: one table of operations and the roles that they require.

For a signed-in caller, only the roles in the token count. Where function keys are accepted (see `config.sign_in`), a
key without a token may do what the table allows; the Functions host has already checked the key. Who may approve a
stage also depends on the stage: see `core.approving`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, overload

from shared.config.sign_in import SignInSettingsError
from shared.core.events import Person
from shared.core.promotion import APPROVER
from shared.http.refusals import NotAvailableError, NotPermittedError, NotSignedInError
from shared.http.sign_in import Verifier, carries_token, signed_in

READER = "Promotion.Reader"
OPERATOR = "Promotion.Operator"

#: Operations that a key may do, too.
WithKey = Literal["read", "start", "inspect"]
#: Operations that require signing in.
InPerson = Literal["steer", "decide", "publish"]
Operation = WithKey | InPerson


@dataclass(frozen=True)
class Requirement:
    """What an operation requires."""

    what: str  #: in words, after "to"
    roles: tuple[str, ...]  #: one of them is enough; empty if something else decides, once the caller is known
    with_key: bool


RULES: Mapping[Operation, Requirement] = {
    "read": Requirement("see this", (READER, OPERATOR, APPROVER), with_key=True),
    "start": Requirement("start a promotion", (OPERATOR,), with_key=True),
    "inspect": Requirement("run the health checks", (OPERATOR,), with_key=True),
    # Cancel, roll back, retry, replay, release.
    "steer": Requirement("do this", (OPERATOR,), with_key=False),
    # Approve, reject: the answer shows the promotion, so the caller must be able to see it. The stage names the role.
    "decide": Requirement("see this", (READER, OPERATOR, APPROVER), with_key=False),
    # The source in platform.yml names its publishers.
    "publish": Requirement("publish", (), with_key=False),
}


class Authorisation:
    """Admits callers, or raises `RefusedError` with what they lack. Thread-safe."""

    def __init__(self, sign_in_is_required: bool, verifier: Callable[[], Verifier | None]) -> None:
        """`verifier` raises `SignInSettingsError` if the settings are wrong."""
        self._is_required = sign_in_is_required
        self._verifier = verifier

    @overload
    def caller(self, operation: InPerson, headers: Mapping[str, str]) -> Person: ...

    @overload
    def caller(self, operation: WithKey, headers: Mapping[str, str]) -> Person | None: ...

    def caller(self, operation: Operation, headers: Mapping[str, str]) -> Person | None:
        """Return the caller, or None for a caller with only a key. Raises `RefusedError` if they may not do this."""
        rule = RULES[operation]
        if carries_token(headers) or self._is_required:
            return self._person(rule, headers)
        if not rule.with_key:
            raise NotPermittedError("Sign in: a function key alone allows only reading and starting.")
        return None

    def _person(self, rule: Requirement, headers: Mapping[str, str]) -> Person:
        try:
            person = signed_in(headers, self._verifier())
        except SignInSettingsError as fault:
            raise NotAvailableError(str(fault)) from fault
        if person is None:
            raise NotSignedInError("Sign in: this app does not accept function keys.")
        if rule.roles and not set(rule.roles) & set(person.roles):
            raise NotPermittedError(f"{person.name} needs the role {' or '.join(rule.roles)} to {rule.what}.")
        return person
