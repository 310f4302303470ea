"""What looks like a secret in the files of a bundle, by a file's name and by its content.

A fault keeps people from publishing, so these rules only know what is hardly ever anything else. Those of
`shared/core/redaction.py` find more, since it harms nobody to cut too much from a log.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from shared.config.faults import Fault
from shared.core import secret_forms

_FILE = "looks like a secret; remove it, or name it in .amlignore"
#: In lower case.
_FILE_NAMES = re.compile(
    r"(\.env(\..+)?|\.netrc|\.pgpass|id_(rsa|dsa|ecdsa|ed25519)|.*\.(pem|key|pfx|p12|jks|keystore)|local\.settings\.json"
    r"|\.?credentials(\.json)?|accesstokens\.json|msal_token_cache\..+)"
)
_PRIVATE_KEY = re.compile("-----BEGIN [A-Z ]*PRIVATE KEY-----")

#: What comes between a name and its value in code, JSON, YAML and connection strings, also on the next line.
_IS = r"[\"']?\s{0,5}[:=][\s\"'+\\(]{0,80}"
#: Keys of Azure Functions have a fixed form. Anything looser is in every large file of Base64.
_FUNCTION_KEY = r"(?<![A-Za-z0-9_+/-])[A-Za-z0-9_-]{44}AzFu[A-Za-z0-9_-]{5}[AQgw]=="
_KEY = r"[A-Za-z0-9+/]{43}(?:[A-Za-z0-9+/]{43})?={1,2}"


@dataclass(frozen=True)
class _Kind:
    says: str
    pattern: str
    needs: tuple[str, ...]  #: one of these is in every match, in lower case: looking for it is much faster
    flags: int = 0


#: What a line may hold. A key is 32 or 64 bytes in Base64: a placeholder is not.
_KINDS = tuple(
    (each, re.compile(each.pattern, each.flags))
    for each in (
        _Kind("an AccountKey", rf"account_?key{_IS}{_KEY}", ("account",), re.IGNORECASE),
        _Kind("a SharedAccessKey", rf"shared_?access_?key{_IS}{_KEY}", ("shared",), re.IGNORECASE),
        _Kind("a shared access signature", r"[?&; ]sig=[A-Za-z0-9%+/]{40,}(?:%3D|=)", ("sig=",), re.IGNORECASE),
        _Kind("a token", secret_forms.OF_CODE_HOSTS, ("gh", "hf_", "glpat-")),
        _Kind("a client secret of Entra ID", secret_forms.CLIENT_SECRET, ("8q~", "7q~")),
        _Kind("a function key", _FUNCTION_KEY, ("azfu",)),
        _Kind("a key of Azure AI services", secret_forms.AI_SERVICES_KEY, ("jqqj99",)),
    )
)


@dataclass(frozen=True)
class Secret:
    """What looks like one. `says` does not show it."""

    name: str  #: of the file
    says: str
    line: int = 1  #: counted from 1


def found(files: Mapping[str, bytes]) -> Iterator[Secret]:
    """Yield what looks like secrets, by the names of the files."""
    for name, content in sorted(files.items()):
        yield from _in_file(name, content)


def faults(files: Mapping[str, bytes]) -> list[Fault]:
    """The same as faults."""
    return [Fault(each.name, each.says) for each in found(files)]


def _in_file(name: str, content: bytes) -> Iterator[Secret]:
    text = content.decode("latin-1")  # every byte is a character: the patterns only know ASCII
    if _FILE_NAMES.fullmatch(PurePosixPath(name).name.lower()) or _PRIVATE_KEY.search(text):
        yield Secret(name, _FILE)
        return
    small = text.lower()
    for kind, pattern in _KINDS:
        if any(each in small for each in kind.needs) and (match := pattern.search(text)):
            line = text.count("\n", 0, match.start()) + 1
            says = (
                f"has what looks like {kind.says} in line {line}; remove it, and use an identity or Key Vault instead"
            )
            yield Secret(name, says, line)
