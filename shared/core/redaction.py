"""Cleans texts that others wrote, before they are stored and shown: removes secrets and terminal control characters.

A container's log and an SDK's exceptions may contain what a program was given: connection strings, tokens, passwords.
The rules below recognise a secret by its name (`AccountKey=…`), its form (a JSON Web Token) or its position (the user
part of an address). They leave alone what promotions are full of: digests, ARM ids, commits, versions.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from shared.core import secret_forms
from shared.core.messages import Failed, NotRun, Outcome, Retry, Running, Succeeded
from shared.core.replacing import replace

#: Replaces a secret. No rule matches it.
MARK = "***"

LONGEST_REASON = 4_000
LONGEST_DIAGNOSIS = 20_000

#: Names of secrets, also as the end of a longer name. No pattern here backtracks over more than a few characters: the
#: texts are long, and others write them.
_NAMES = (
    r"(?:account|access|shared|subscription|primary|secondary|master|host|function|functions|api|storage|private|sas|"
    r"encryption|signing|instrumentation|endpoint|sharedaccess|aws_secret_access)[-_. ]?keys?"
    r"|sharedaccesskey|sharedaccesssignature|sharedsecret|sastoken|secret|client[-_ ]?secret|password|passwd|passphrase"
    r"|pwd|credential|token"
)
_NAME = rf"(?P<name>{_NAMES})"
#: Excludes what was redacted already, words for an empty value, and references to settings.
_NO_SECRET = r"(?!\*\*\*|\$\{|<|None\b|null\b|true\b|false\b|undefined\b)"
_QUOTED = r"(?:\"[^\"\n]{1,2000}\"?|'[^'\n]{1,2000}'?)"
_BARE = rf"{_NO_SECRET}[^\s;,&\"'<>(){{}}\[\]]{{4,}}"
#: Ordinary words follow a colon, too. A secret has a digit in it, and at least eight characters.
_LIKE_A_SECRET = rf"{_NO_SECRET}(?=[^\s;,&\"']{{0,200}}[0-9])[^\s;,&\"'<>(){{}}\[\]]{{8,}}"
_EMPTY = r"(?!\"\"|''|\"\*\*\*|'\*\*\*|\"\$\{|'\$\{)"

_TOKEN = r"[A-Za-z0-9._~+/-]{16,}=*"
_SCHEMES = ("bearer", "bas", "sharedkey")

#: Each name has one of these in it.
_IN_NAMES = ("key", "secret", "token", "pass", "pwd", "credent", "gnature")

#: Each rule with texts of which one is in whatever it matches, its pattern and its replacement. Most texts have none of
#: them, and looking for them takes a fraction of the pattern's time. They are in small letters and without an `i`:
#: patterns that ignore case take the Turkish ones for it, which have no common small letter. The order matters: a name
#: is the best evidence.
_RULES: tuple[tuple[tuple[str, ...], re.Pattern[str], str], ...] = tuple(
    (parts, re.compile(pattern, flags), instead)
    for parts, pattern, instead, flags in (
        (
            ("-----beg",),
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
            MARK,
            re.DOTALL,
        ),
        (
            ("-----end",),
            r"(?:(?<![A-Za-z0-9+/=])[A-Za-z0-9+/=]{16,100}[ \t]{0,20}\n[ \t]{0,20}){1,100}"
            r"-----END [A-Z ]*PRIVATE KEY-----",
            MARK,
            0,
        ),
        (("eyj",), r"\beyJ[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*){0,4}", MARK, 0),
        (
            _SCHEMES,
            rf"\b(Bearer|Basic|SharedKey|SharedKeyLite)(\s+)(?=\S{{0,200}}[0-9=]){_TOKEN}",
            rf"\1\2{MARK}",
            re.IGNORECASE,
        ),
        (
            _SCHEMES,
            r"(\bAuthorization[\"']?\s*[:=]\s*[\"']?(?:Bearer|Basic|SharedKey|SharedKeyLite)\s+)"
            rf"{_NO_SECRET}[^\s\"',]+",
            rf"\1{MARK}",
            re.IGNORECASE,
        ),
        (
            ("g=", "gnature="),
            r"((?:[?&;]|\b)sig(?:nature)?=)(?!\*\*\*)[A-Za-z0-9%+/=_.~-]{4,}",
            rf"\1{MARK}",
            re.IGNORECASE,
        ),
        (
            ("code=", "key=", "token="),
            r"([?&](?:code|key|token|access_token|id_token|refresh_token)=)(?!\*\*\*)[^\s&\"'<>]{8,}",
            rf"\1{MARK}",
            0,
        ),
        (
            ("-key", "-token"),
            r"((?:x-functions-key|ocp-apim-subscription-key|aeg-sas-key|aeg-sas-token|x-api-key|api-key|x-ms-token)"
            rf"[\"']?\s*[:=]\s*)(?:{_EMPTY}{_QUOTED}|{_BARE})",
            rf"\1{MARK}",
            re.IGNORECASE,
        ),
        (
            _IN_NAMES,
            rf"{_NAME}(?P<is>[\"']?\s*(?:=>|=|:)\s*){_EMPTY}{_QUOTED}",
            rf"\g<name>\g<is>{MARK}",
            re.IGNORECASE,
        ),
        (
            _IN_NAMES,
            rf"{_NAME}(?P<is>\s*(?:=>|=)\s*|[\"']\s*:\s*){_BARE}",
            rf"\g<name>\g<is>{MARK}",
            re.IGNORECASE,
        ),
        (
            _IN_NAMES,
            rf"{_NAME}(?P<is>\s*:\s*|\s+is\s+){_LIKE_A_SECRET}",
            rf"\g<name>\g<is>{MARK}",
            re.IGNORECASE,
        ),
        (_IN_NAMES, rf"(?P<is>\s--?{_NAME}\s+){_BARE}", rf"\g<is>{MARK}", re.IGNORECASE),
        (
            ("://",),
            r"(\b[a-z][a-z0-9+.-]{0,20}://[^\s/:@\"']{0,100}:)(?!\*\*\*@)[^\s/@\"']{1,200}(?=@)",
            rf"\1{MARK}",
            re.IGNORECASE,
        ),
        # Recognised by form alone. The first is a storage account's key: a digest of this length follows the name of
        # its algorithm. The shorter keys of Service Bus cannot be distinguished from digests.
        (("==",), r"(?<![A-Za-z0-9+/:-])[A-Za-z0-9+/]{86}==", MARK, 0),
        (("gh", "hf_", "glpat-"), secret_forms.OF_CODE_HOSTS, MARK, 0),
        (
            ("sk-", "xox", "ak", "dap"),
            r"\b(?:sk-[A-Za-z0-9_-]{20,}|xox[abprs]-[A-Za-z0-9-]{10,}|AKIA[0-9A-Z]{16}|dapi[0-9a-f]{32})\b",
            MARK,
            0,
        ),
        (("q~",), secret_forms.CLIENT_SECRET, MARK, 0),
        (("azfu",), r"\b[A-Za-z0-9_-]{30,60}AzFu[A-Za-z0-9_-]+=*", MARK, 0),  # a function key
        (("jqqj99",), secret_forms.AI_SERVICES_KEY, MARK, 0),
    )
)

_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]{0,500}(?:\x07|\x1b\\)?|[ -/]*[0-~])")
#: Control characters except tab and line feed, characters that change a text's direction, and invisible ones.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)


def without_secrets(text: str) -> str:
    """The text without its secrets. Idempotent."""
    small = text.casefold()
    for parts, pattern, instead in _RULES:
        for part in parts:
            if part in small:
                text = pattern.sub(instead, text)
                break
    return text


def visible(text: str) -> str:
    """The text with control, direction and invisible characters written out. Keeps line breaks."""
    if text.isprintable():  # of one line, without any of these, as most are
        return text
    text = text.replace("\r\n", "\n")
    return _UNSEEN.sub(_written_out, _ESCAPE_SEQUENCE.sub("", text))


def one_line(text: str) -> str:
    """The same on one line, for places where each line has its own meaning."""
    return visible(text).replace("\n", "\\n")


def clean(text: str) -> str:
    """Remove escapes, then secrets. Escapes come first: one may split a secret's name."""
    return without_secrets(visible(text))


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


# --- outcomes ---------------------------------------------------------------------------------------------------------


def clean_outcome(outcome: Outcome) -> Outcome:
    """The outcome as a worker may report it: every text is clean, and none is longer than people read."""
    return _OF[type(outcome)](outcome)


def _failed(outcome: Failed) -> Failed:
    return replace(
        outcome,
        reason=_cut(clean(outcome.reason), LONGEST_REASON),
        diagnosis=clean(outcome.diagnosis)[-LONGEST_DIAGNOSIS:],
        evidence=_clean_values(outcome.evidence),
    )


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 2]} …"


def _clean_values(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {key: _clean_values(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean_values(each) for each in value]
    return value


_OF: Mapping[type[Outcome], Callable[[Any], Outcome]] = {
    Failed: _failed,
    Succeeded: lambda outcome: replace(outcome, evidence=_clean_values(outcome.evidence)),
    Running: lambda outcome: replace(outcome, says=_cut(clean(outcome.says), LONGEST_REASON)),
    Retry: lambda outcome: replace(outcome, reason=_cut(clean(outcome.reason), LONGEST_REASON)),
    NotRun: lambda outcome: replace(outcome, reason=_cut(clean(outcome.reason), LONGEST_REASON)),
}
