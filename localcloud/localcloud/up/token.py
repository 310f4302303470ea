"""`python -m localcloud token NAME`: prints a token for calling the app as a person of the local cloud."""

import argparse
import asyncio
import json
import sys
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlencode

from localcloud.up.running import add_data, addresses

_TIMEOUT = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command line."""
    parser.add_argument("name", metavar="NAME", help="name of a person in localcloud.yml")
    add_data(parser)


async def serve(arguments: argparse.Namespace) -> None:
    """Prints the token. Ends the program with a message if there is none."""
    found = addresses(arguments.data, "python -m localcloud up")
    people = found["people"]
    if arguments.name not in people:
        raise SystemExit(f"There is no {arguments.name} in the local cloud, only {', '.join(people) or 'nobody'}.")
    token = await asyncio.to_thread(token_of, found, arguments.name)
    sys.stdout.write(f"{token}\n")


def token_of(found: Any, name: str) -> str:
    """A token for the app, requested from the managed identity endpoint as the person. `found`: content of
    `addresses.json`."""
    asked = {
        "api-version": "2019-08-01",
        "resource": found["sign_in"]["resource"],
        "client_id": found["people"][name]["client_id"],
    }
    identity = found["identity"]
    request = urllib.request.Request(
        f"{identity['endpoint']}?{urlencode(asked)}", headers={"X-IDENTITY-HEADER": identity["header"]}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_TIMEOUT) as answer:
            return str(json.loads(answer.read())["access_token"])
    except urllib.error.URLError as error:
        told = f"{identity['endpoint']} did not give a token: {error.reason}. Is the local cloud running?"
        raise SystemExit(told) from error
