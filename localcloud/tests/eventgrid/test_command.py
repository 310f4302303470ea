"""The command of the Event Grid part."""

import asyncio
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from localcloud.testing.eventgrid import EventGrid, Webhook


async def test_a_second_event_grid_keeps_off_the_folder_until_the_first_is_gone(
    eventgrid: "EventGrid", webhook: "Webhook"
) -> None:
    eventgrid.configure(webhook.address)
    await eventgrid.start()
    data, config = str(eventgrid.folder / "data"), str(eventgrid.folder / "eventgrid.json")
    command = ["-m", "localcloud", "eventgrid", "--port", "0", "--data", data, "--config", config]
    second = await asyncio.create_subprocess_exec(sys.executable, *command, stderr=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(300):
            _, errors = await second.communicate()
    finally:
        if second.returncode is None:
            second.kill()
            await second.wait()
    assert second.returncode == 1
    assert errors.decode().startswith("Another local Event Grid is using ")
    await eventgrid.kill()
    await eventgrid.start()
    assert await eventgrid.stop() == 0
