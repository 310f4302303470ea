"""Names that their tests import; a live run uses none of them."""

SANITIZED = "Sanitized"


class FakeTokenCredential:
    pass
