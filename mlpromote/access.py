"""Where the app is, and as whom to ask it: from options, environment variables, or a local cloud that runs here."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlpromote import local_identity
from mlpromote.ends import CommandError, Exit
from mlpromote.local_identity import Token

URL, KEY, TOKEN, SCOPE, LOCAL = (f"MLPROMOTE_{name}" for name in ("URL", "KEY", "TOKEN", "SCOPE", "LOCAL"))
#: Where `make up` keeps its state.
USUAL_LOCAL = Path(".local")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Wanted:
    """What the options say; None for what they leave out."""

    url: str | None = None
    key: str | None = None
    token: str | None = None
    scope: str | None = None
    local: Path | None = None
    person: str | None = None  #: of the local cloud


#: How somebody signs in.
_HOW = "--scope api://CLIENT_ID/.default, with the client id of the app registration"
_HOW_LOCALLY = f"for a local cloud, --local FOLDER --as NAME instead of its address (--url or {URL})"


@dataclass(frozen=True)
class Access:
    """How to ask the app."""

    url: str  #: of the API, with `/api`
    key: str | None = None
    token: Token | None = None
    #: What people should know of how it was found; empty where they said it themselves.
    remark: str = ""
    #: How somebody who has not signed in does so.
    how_to_sign_in: str = _HOW

    def headers(self) -> dict[str, str]:
        """With which each request is made. Raises `CommandError` when Entra ID gives no token."""
        headers = {"x-functions-key": self.key} if self.key else {}
        return headers | {"Authorization": f"Bearer {self.token()}"} if self.token else headers


def find(wanted: Wanted, environment: Mapping[str, str] = os.environ) -> Access:
    """Options come before variables, and both before a local cloud in `.local`. Raises `CommandError`."""
    if wanted.url and (wanted.local or wanted.person):
        raise CommandError(Exit.USAGE, "--local and --as are about a local cloud: leave out --url, or leave them out.")
    local = wanted.local or (Path(environment[LOCAL]) if environment.get(LOCAL) and not wanted.url else None)
    url = wanted.url or (None if local else environment.get(URL))
    if not url:
        return _local(local, wanted)
    if wanted.person:
        raise CommandError(Exit.USAGE, f"--as is about a local cloud, and {URL} is set: give --local, or unset it.")
    api = _api(url)
    how = _HOW_LOCALLY if is_loopback(api) else _HOW
    return Access(api, wanted.key or environment.get(KEY), _token(wanted, environment), how_to_sign_in=how)


def of_environment(name: str, environment: Mapping[str, str] = os.environ) -> Access | None:
    """The app of an environment that takes its approvals itself, by variables that the person has set: a token goes
    there, so that nobody else's word for the address will do. None where none is set."""
    prefix = f"MLPROMOTE_{name.upper().replace('-', '_')}_"
    url = environment.get(f"{prefix}URL")
    if not url:
        return None
    token, scope = environment.get(f"{prefix}TOKEN"), environment.get(f"{prefix}SCOPE")
    found = _constant(token) if token else _entra(scope) if scope else None
    return Access(_api(url), environment.get(f"{prefix}KEY"), found)


def _token(wanted: Wanted, environment: Mapping[str, str]) -> Token | None:
    """The first of: a token by option, a scope by option, a token by variable, a scope by variable."""
    for token, scope in ((wanted.token, wanted.scope), (environment.get(TOKEN), environment.get(SCOPE))):
        if token:
            return _constant(token)
        if scope:
            return _entra(scope)
    return None


def _local(folder: Path | None, wanted: Wanted) -> Access:
    addresses = _addresses(folder or USUAL_LOCAL, found_by_itself=folder is None)
    token = _constant(wanted.token) if wanted.token else None
    who, known = "", ", ".join(addresses["people"]) or "nobody"
    if wanted.person:
        if wanted.person not in addresses["people"]:
            raise CommandError(Exit.USAGE, f"--as: the local cloud knows no {wanted.person}, only {known}.")
        token = local_identity.token_of(addresses, wanted.person)
        who = f", as {wanted.person}"
    url = addresses["functions"]["url"]
    remark = f"Using the local cloud in {USUAL_LOCAL}, {url}{who}." if folder is None else ""
    key = wanted.key or addresses["functions"]["keys"]["default"]
    return Access(_api(url), key, token, remark, f"--as NAME, where NAME is one of: {known}")


def _addresses(folder: Path, found_by_itself: bool) -> Any:
    file = folder / "addresses.json"
    try:
        addresses = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if found_by_itself:
            says = f"Say where the app is, with --url or {URL}; no local cloud is running in {folder} either."
        else:
            says = f"No local cloud is running in {folder}: there is no {file}."
        raise CommandError(Exit.USAGE, says) from None
    except (OSError, ValueError) as fault:
        raise CommandError(Exit.USAGE, f"{file} cannot be read: {fault}") from fault
    if not addresses.get("functions"):
        raise CommandError(Exit.USAGE, f"The local cloud in {folder} runs no app.")
    return addresses


def _api(url: str) -> str:
    """The address of the API; keys and tokens leave this machine encrypted only."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise CommandError(
            Exit.USAGE, f"{url!r} is no address of an app, such as https://contoso-mlpromote.azurewebsites.net"
        )
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise CommandError(Exit.USAGE, f"{url}: use https, since keys and tokens would be readable on the way.")
    base = f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")
    return base if base.endswith("/api") else f"{base}/api"


def is_loopback(url: str) -> bool:
    """Whether the address is on this machine."""
    return urlsplit(url).hostname in _LOOPBACK


def _constant(token: str) -> Token:
    return lambda: token


def _entra(scope: str) -> Token:
    """Tokens of whoever is signed in here, for the app whose scope this is. The credential renews them."""
    try:
        from azure.core.exceptions import ClientAuthenticationError  # only here: its import takes a while
        from azure.identity import DefaultAzureCredential
    except ImportError as fault:
        raise CommandError(Exit.USAGE, "--scope needs azure-identity: pip install 'mlpromote[entra]'") from fault
    credential = DefaultAzureCredential()

    def token() -> str:
        try:
            return credential.get_token(scope).token
        except ClientAuthenticationError as fault:
            raise CommandError(
                Exit.NOT_ALLOWED, f"No token for {scope}: sign in with `az login --scope {scope}`. {fault.message}"
            ) from fault

    return token
