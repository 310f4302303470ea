"""Where the app is and who calls it: from options, environment variables or a local cloud on this machine."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlpromote import local_identity, saved_contexts
from mlpromote.client import is_loopback
from mlpromote.exit_codes import CommandError, ExitCode
from mlpromote.local_identity import Token

URL, KEY, TOKEN, SCOPE, LOCAL, CONTEXT = (
    f"MLPROMOTE_{name}" for name in ("URL", "KEY", "TOKEN", "SCOPE", "LOCAL", "CONTEXT")
)
#: Where `make up` keeps its state.
USUAL_LOCAL = Path(".local")


@dataclass(frozen=True)
class Wanted:
    """The connection options; None for each that was not given."""

    url: str | None = None
    key: str | None = None
    token: str | None = None
    scope: str | None = None
    local: Path | None = None
    person: str | None = None  #: a person of the local cloud
    context: str | None = None  #: name of a saved context


NOTHING = Wanted()

#: How somebody signs in.
_HOW = "--scope api://CLIENT_ID/.default, with the client id of the app registration"
_HOW_LOCALLY = f"for a local cloud, --local FOLDER --as NAME instead of its address (--url or {URL})"


@dataclass(frozen=True)
class Access:
    """How to call the app."""

    url: str  #: of the API, with `/api`
    key: str | None = None
    token: Token | None = None
    #: A note on where the address came from; empty if the user gave it.
    remark: str = ""
    #: How to sign in, for error messages.
    how_to_sign_in: str = _HOW
    context: str | None = None  #: name of the saved context that it is from

    def headers(self) -> dict[str, str]:
        """Return the headers of a request. Raises `CommandError` when Entra ID gives no token."""
        headers = {"x-functions-key": self.key} if self.key else {}
        return headers | {"Authorization": f"Bearer {self.token()}"} if self.token else headers


def find(wanted: Wanted, environment: Mapping[str, str] = os.environ) -> Access:
    """Find the app: by options first, then variables, then the context in use, then a local cloud in `.local`.

    Raises `CommandError`.
    """
    _check_fit(wanted)
    if wanted.context:
        return _of_context(wanted.context, wanted, environment)
    local = wanted.local or (Path(environment[LOCAL]) if environment.get(LOCAL) and not wanted.url else None)
    url = wanted.url or (None if local else environment.get(URL))
    if url and wanted.person:
        raise CommandError(ExitCode.USAGE, f"--as needs a local cloud, but {URL} is set. Add --local or unset {URL}.")
    if url:
        return _remote(url, wanted, environment)
    if local is None:
        saved = saved_contexts.read()
        name = environment.get(CONTEXT) or saved.used
        # A person is one of a local cloud: then a context that is none does not count.
        if name and (wanted.person is None or saved.named(name).local):
            return _of_context(name, wanted, environment)
    found = of_local_cloud(local, wanted)
    return found if wanted.local else _with_token_of(found, environment)


def _with_token_of(found: Access, environment: Mapping[str, str]) -> Access:
    """Return the access with the token variable, if that is for this app: `mlpromote env` sets both."""
    url, token = environment.get(URL), environment.get(TOKEN)
    if found.token or not url or not token or api_address(url) != found.url:
        return found
    return replace(found, token=_constant(token))


def _check_fit(wanted: Wanted) -> None:
    """Raise `CommandError` if two options say where the app is."""
    if wanted.url and (wanted.local or wanted.person):
        raise CommandError(ExitCode.USAGE, "--local and --as need a local cloud and cannot be used with --url.")
    if wanted.context and (wanted.url or wanted.local):
        raise CommandError(ExitCode.USAGE, "--context says where the app is: leave out --url and --local.")


def _of_context(name: str, wanted: Wanted, environment: Mapping[str, str]) -> Access:
    """Return the app of a saved context, and tell that it is used: the command line does not show it."""
    context = saved_contexts.read().named(name)
    if context.url is None:
        # A token says already who one is.
        person = wanted.person or (None if wanted.token else context.person)
        found = of_local_cloud(Path(context.local or USUAL_LOCAL), replace(wanted, person=person))
        who = f", as {person}" if person else ""
    elif wanted.person:
        raise CommandError(ExitCode.USAGE, f"--as needs a local cloud, but the context {name} is {context.url}.")
    else:
        found, who = _remote(context.url, replace(wanted, scope=wanted.scope or context.scope), environment), ""
    return replace(found, remark=f"Using the context {name}, {found.url.removesuffix('/api')}{who}.", context=name)


def _remote(url: str, wanted: Wanted, environment: Mapping[str, str]) -> Access:
    api = api_address(url)
    how = _HOW_LOCALLY if is_loopback(api) else _HOW
    return Access(api, wanted.key or environment.get(KEY), _token(wanted, environment), how_to_sign_in=how)


def of_environment(name: str, environment: Mapping[str, str] = os.environ) -> Access | None:
    """Return the app in which an environment takes its own approvals, or None if no variable names one.

    The user's token is sent there, so only the user's own variables may say where it is.
    """
    prefix = f"MLPROMOTE_{name.upper().replace('-', '_')}_"
    url = environment.get(f"{prefix}URL")
    if not url:
        return None
    token, scope = environment.get(f"{prefix}TOKEN"), environment.get(f"{prefix}SCOPE")
    found = _constant(token) if token else _entra(scope) if scope else None
    return Access(api_address(url), environment.get(f"{prefix}KEY"), found)


def _token(wanted: Wanted, environment: Mapping[str, str]) -> Token | None:
    """Return the first of: token option, scope option, token variable, scope variable."""
    for token, scope in ((wanted.token, wanted.scope), (environment.get(TOKEN), environment.get(SCOPE))):
        if token:
            return _constant(token)
        if scope:
            return _entra(scope)
    return None


def of_local_cloud(folder: Path | None, wanted: Wanted = NOTHING) -> Access:
    """Return the app of the local cloud in a folder; None stands for `.local`. Raises `CommandError`."""
    addresses = _addresses(folder or USUAL_LOCAL, found_by_itself=folder is None)
    token = _constant(wanted.token) if wanted.token else None
    who, known = "", ", ".join(addresses["people"]) or "nobody"
    if wanted.person:
        if wanted.person not in addresses["people"]:
            raise CommandError(
                ExitCode.USAGE, f"--as: the local cloud has no person {wanted.person!r}. Known: {known}."
            )
        token = local_identity.token_of(addresses, wanted.person)
        who = f", as {wanted.person}"
    url = addresses["functions"]["url"]
    remark = f"Using the local cloud in {USUAL_LOCAL}, {url}{who}." if folder is None else ""
    key = wanted.key or addresses["functions"]["keys"]["default"]
    return Access(api_address(url), key, token, remark, f"--as NAME (one of: {known})")


def _addresses(folder: Path, found_by_itself: bool) -> Any:
    file = folder / "addresses.json"
    try:
        addresses = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if found_by_itself:
            says = (
                f"No address: give --url or set {URL}. No local cloud is running in {folder}. "
                "`mlpromote context add` saves an address for good."
            )
        else:
            says = f"No local cloud is running in {folder}: {file} does not exist."
        raise CommandError(ExitCode.USAGE, says) from None
    except (OSError, ValueError) as fault:
        raise CommandError(ExitCode.USAGE, f"Cannot read {file}: {fault}") from fault
    if not addresses.get("functions"):
        raise CommandError(ExitCode.USAGE, f"The local cloud in {folder} is not running the app.")
    return addresses


def api_address(url: str) -> str:
    """Return the address of the API. Keys and tokens leave this machine only over TLS."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise CommandError(
            ExitCode.USAGE,
            f"{url!r} is not the address of an app. Expected one such as https://contoso-mlpromote.azurewebsites.net",
        )
    if parts.scheme == "http" and not is_loopback(url):
        raise CommandError(ExitCode.USAGE, f"{url}: use https. Over http, keys and tokens would be sent in plain text.")
    base = f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")
    return base if base.endswith("/api") else f"{base}/api"


def _constant(token: str) -> Token:
    return lambda: token


def _entra(scope: str) -> Token:
    """Return a source of tokens for the signed-in user and this scope. The credential renews them."""
    try:
        from azure.core.exceptions import ClientAuthenticationError  # imported here because it is slow
        from azure.identity import DefaultAzureCredential
    except ImportError as fault:
        raise CommandError(ExitCode.USAGE, "--scope needs azure-identity: pip install 'mlpromote[entra]'") from fault
    credential = DefaultAzureCredential()

    def token() -> str:
        try:
            return credential.get_token(scope).token
        except ClientAuthenticationError as fault:
            raise CommandError(
                ExitCode.NOT_ALLOWED, f"No token for {scope}: sign in with `az login --scope {scope}`. {fault.message}"
            ) from fault

    return token
