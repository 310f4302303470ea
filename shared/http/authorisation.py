"""Who may do what over HTTP: every operation with the roles that it takes, in one table.

Who has signed in is judged by the roles in the token alone. Where function keys are taken (see `config.sign_in`), a key
without a token may do what the table says, too; the Functions host has looked at the key before. Who may approve a
stage depends on the stage besides: `core.approving` knows that.
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

#: What a key may do, too.
WithKey = Literal["read", "start", "inspect"]
#: What takes somebody who has signed in.
InPerson = Literal["steer", "decide"]
Operation = WithKey | InPerson


@dataclass(frozen=True)
class Requirement:
    """What an operation takes."""

    what: str  #: in words, after "to"
    roles: tuple[str, ...]  #: one of them is enough
    with_key: bool


RULES: Mapping[Operation, Requirement] = {
    "read": Requirement("see this", (READER, OPERATOR, APPROVER), with_key=True),
    "start": Requirement("start a promotion", (OPERATOR,), with_key=True),
    "inspect": Requirement("have the app look at itself", (OPERATOR,), with_key=True),
    # Cancel, roll back, try again, replay, release.
    "steer": Requirement("do this", (OPERATOR,), with_key=False),
    # Approve, reject: the answer shows the promotion, so it takes one who may see that; the stage names the role.
    "decide": Requirement("see this", (READER, OPERATOR, APPROVER), with_key=False),
}


class Authorisation:
    """Lets callers in, or raises `RefusedError` with what they lack. May be used by several threads."""

    def __init__(self, sign_in_is_required: bool, verifier: Callable[[], Verifier | None]) -> None:
        """`verifier` raises `SignInSettingsError` where the settings are wrong."""
        self._is_required = sign_in_is_required
        self._verifier = verifier

    @overload
    def caller(self, operation: InPerson, headers: Mapping[str, str]) -> Person: ...

    @overload
    def caller(self, operation: WithKey, headers: Mapping[str, str]) -> Person | None: ...

    def caller(self, operation: Operation, headers: Mapping[str, str]) -> Person | None:
        """Who may do this; None for whoever has shown a key alone."""
        rule = RULES[operation]
        if carries_token(headers) or self._is_required:
            return self._person(rule, headers)
        if not rule.with_key:
            raise NotPermittedError("Sign in: a function key alone may read and start, nothing else.")
        return None

    def _person(self, rule: Requirement, headers: Mapping[str, str]) -> Person:
        try:
            person = signed_in(headers, self._verifier())
        except SignInSettingsError as fault:
            raise NotAvailableError(str(fault)) from fault
        if person is None:
            raise NotSignedInError("Sign in: this app takes no keys.")
        if not set(rule.roles) & set(person.roles):
            raise NotPermittedError(f"{person.name} needs the role {' or '.join(rule.roles)} to {rule.what}.")
        return person
