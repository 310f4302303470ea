"""Texts that others wrote, fit to be kept and shown: without secrets, and without characters that drive a terminal.

A container's log and an exception of an SDK hold what a program was given: connection strings, tokens, passwords. The
rules below know a secret by its name (`AccountKey=…`), by its form (a JSON Web Token) or by where it stands (the user
part of an address), and leave alone what a promotion is full of: digests, ARM ids, commits, versions.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from shared.core.messages import Failed, NotRun, Outcome, Retry, Running, Succeeded

#: Stands where a secret stood. No rule takes it for one.
MARK = "***"

LONGEST_REASON = 4_000
LONGEST_DIAGNOSIS = 20_000

#: Names of secrets, also as the end of a longer name. No pattern here looks twice at more than a few characters: texts
#: are long, and written by others.
_NAMES = (
    r"(?:account|access|shared|subscription|primary|secondary|master|host|function|functions|api|storage|private|sas|"
    r"encryption|signing|instrumentation|endpoint|sharedaccess|aws_secret_access)[-_. ]?keys?"
    r"|sharedaccesskey|sharedaccesssignature|sharedsecret|sastoken|secret|client[-_ ]?secret|password|passwd|passphrase"
    r"|pwd|credential|token"
)
_NAME = rf"(?P<name>{_NAMES})"
#: Not again what was taken out, nor what says that there is none, nor the name of a setting.
_NO_SECRET = r"(?!\*\*\*|\$\{|<|None\b|null\b|true\b|false\b|undefined\b)"
_QUOTED = r"(?:\"[^\"\n]{1,2000}\"?|'[^'\n]{1,2000}'?)"
_BARE = rf"{_NO_SECRET}[^\s;,&\"'<>(){{}}\[\]]{{4,}}"
#: After a colon words follow, too: what is meant has a digit in it, and is longer than a word.
_LIKE_A_SECRET = rf"{_NO_SECRET}(?=[^\s;,&\"']{{0,200}}[0-9])[^\s;,&\"'<>(){{}}\[\]]{{8,}}"
_EMPTY = r"(?!\"\"|''|\"\*\*\*|'\*\*\*|\"\$\{|'\$\{)"

_TOKEN = r"[A-Za-z0-9._~+/-]{16,}=*"

#: Each with what takes its place. In this order: a name says most.
_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, flags), instead)
    for pattern, instead, flags in (
        (r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", MARK, re.DOTALL),
        (
            r"(?:(?<![A-Za-z0-9+/=])[A-Za-z0-9+/=]{16,100}[ \t]{0,20}\n[ \t]{0,20}){1,100}"
            r"-----END [A-Z ]*PRIVATE KEY-----",
            MARK,
            0,
        ),
        (r"\beyJ[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*){0,4}", MARK, 0),
        (rf"\b(Bearer|Basic|SharedKey|SharedKeyLite)(\s+)(?=\S{{0,200}}[0-9=]){_TOKEN}", rf"\1\2{MARK}", re.IGNORECASE),
        (
            r"(\bAuthorization[\"']?\s*[:=]\s*[\"']?(?:Bearer|Basic|SharedKey|SharedKeyLite)\s+)"
            rf"{_NO_SECRET}[^\s\"',]+",
            rf"\1{MARK}",
            re.IGNORECASE,
        ),
        (r"((?:[?&;]|\b)sig(?:nature)?=)(?!\*\*\*)[A-Za-z0-9%+/=_.~-]{4,}", rf"\1{MARK}", re.IGNORECASE),
        (r"([?&](?:code|key|token|access_token|id_token|refresh_token)=)(?!\*\*\*)[^\s&\"'<>]{8,}", rf"\1{MARK}", 0),
        (
            r"((?:x-functions-key|ocp-apim-subscription-key|aeg-sas-key|aeg-sas-token|x-api-key|api-key|x-ms-token)"
            rf"[\"']?\s*[:=]\s*)(?:{_EMPTY}{_QUOTED}|{_BARE})",
            rf"\1{MARK}",
            re.IGNORECASE,
        ),
        (rf"{_NAME}(?P<is>[\"']?\s*(?:=>|=|:)\s*){_EMPTY}{_QUOTED}", rf"\g<name>\g<is>{MARK}", re.IGNORECASE),
        (rf"{_NAME}(?P<is>\s*(?:=>|=)\s*|[\"']\s*:\s*){_BARE}", rf"\g<name>\g<is>{MARK}", re.IGNORECASE),
        (rf"{_NAME}(?P<is>\s*:\s*|\s+is\s+){_LIKE_A_SECRET}", rf"\g<name>\g<is>{MARK}", re.IGNORECASE),
        (rf"(?P<is>\s--?{_NAME}\s+){_BARE}", rf"\g<is>{MARK}", re.IGNORECASE),
        (
            r"(\b[a-z][a-z0-9+.-]{0,20}://[^\s/:@\"']{0,100}:)(?!\*\*\*@)[^\s/@\"']{1,200}(?=@)",
            rf"\1{MARK}",
            re.IGNORECASE,
        ),
        # By their form alone.
        # Of a storage account. A digest of as many characters has its algorithm before it; the shorter keys of Service
        # Bus cannot be told from digests.
        (r"(?<![A-Za-z0-9+/:-])[A-Za-z0-9+/]{86}==", MARK, 0),
        (
            r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,}|hf_[A-Za-z0-9]{30,}|glpat-[\w-]{20,})",
            MARK,
            0,
        ),
        (r"\b(?:sk-[A-Za-z0-9_-]{20,}|xox[abprs]-[A-Za-z0-9-]{10,}|AKIA[0-9A-Z]{16}|dapi[0-9a-f]{32})\b", MARK, 0),
        (r"(?<![\w~.-])[A-Za-z0-9_~.-]{3}[78]Q~[A-Za-z0-9_~.-]{31,34}", MARK, 0),  # a client secret of Entra ID
        (r"\b[A-Za-z0-9_-]{30,60}AzFu[A-Za-z0-9_-]+=*", MARK, 0),  # of a function
        (r"\b[A-Za-z0-9]{52}JQQJ99[A-Za-z0-9]{14,}\b", MARK, 0),  # of Azure AI services
    )
)

_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]{0,500}(?:\x07|\x1b\\)?|[ -/]*[0-~])")
#: Control characters but tab and line feed, what turns the direction of a text, and what is there and cannot be seen.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)


def without_secrets(text: str) -> str:
    """The text with its secrets taken out; done once more, it stays as it is."""
    for pattern, instead in _RULES:
        text = pattern.sub(instead, text)
    return text


def visible(text: str) -> str:
    """The text with what drives a terminal, or turns the direction of a text, written out; lines stay lines."""
    text = text.replace("\r\n", "\n")
    return _UNSEEN.sub(_written_out, _ESCAPE_SEQUENCE.sub("", text))


def one_line(text: str) -> str:
    """The same, in one line: for where each line says something of its own."""
    return visible(text).replace("\n", "\\n")


def clean(text: str) -> str:
    """Without escapes and without secrets; escapes first, which may stand in the middle of a secret's name."""
    return without_secrets(visible(text))


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


# --- outcomes ---------------------------------------------------------------------------------------------------------


def clean_outcome(outcome: Outcome) -> Outcome:
    """What a worker may report: every text in it is clean, and none is longer than people read."""
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
