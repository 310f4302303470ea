"""People who use the app over HTTP."""

import asyncio

from tests.e2e.conftest import Cloud
from tests.signing_in import bearer


class People:
    """Those of a running local cloud, by their names in its description."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    async def ask(self, who: str, path: str, **body: str) -> None:
        """Ask for something, which must be accepted; `path` is below `api/`."""
        addresses = self._cloud.parts.addresses
        headers = await asyncio.to_thread(bearer, addresses, who)
        headers["x-functions-key"] = addresses["functions"]["keys"]["default"]
        url = f"{addresses['functions']['url']}/api/{path}"
        async with self._cloud.http.post(url, headers=headers, json={"reason": "a test", **body}) as answer:
            assert answer.status == 202, await answer.text()
