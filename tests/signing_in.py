"""How the app of a local cloud is set up so that its people can sign in, and the header with which they do."""

from collections.abc import Mapping
from typing import Any

from localcloud.up.token import token_of

#: As in `localcloud.yml`; with the mode `optional` a function key opens the app, too.
SIGN_IN = {
    "MLPROMOTE_SIGN_IN": "optional",
    "MLPROMOTE_SIGN_IN_TENANT": "{sign_in_tenant}",
    "MLPROMOTE_SIGN_IN_CLIENT_ID": "{sign_in_client_id}",
    "MLPROMOTE_SIGN_IN_AUTHORITY": "{sign_in_authority}",
}


def bearer(addresses: Mapping[str, Any], person: str) -> dict[str, str]:
    """The header of one of the people, by a new token. `addresses`: what the local cloud says of itself."""
    return {"Authorization": f"Bearer {token_of(addresses, person)}"}
