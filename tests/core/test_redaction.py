"""What is removed from texts that others wrote, and what stays."""

import re
import sys
import time
from datetime import timedelta

import pytest

from shared.core.messages import Failed, FailureKind, NotRun, Retry, Running, Succeeded
from shared.core.redaction import (
    LONGEST_DIAGNOSIS,
    LONGEST_REASON,
    MARK,
    clean,
    clean_outcome,
    one_line,
    visible,
    without_secrets,
)

KEY = "Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6QUJDREVGR0hJSktMTU5PUA0rq/+8xQ"
STORAGE_KEY = KEY[:86] + "=="
BUS_KEY = KEY[:43] + "="
JWT = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJvaWQiOiJpZC1hbGljZSJ9.c2lnbmF0dXJlLW9mLWl0"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7\nq83jdkfjkdfjkdj9\n-----END RSA PRIVATE KEY-----"

#: Text, and the secret in it.
SECRETS = {
    "storage": (f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={STORAGE_KEY};EndpointSuffix=x", STORAGE_KEY),
    "service bus": (f"Endpoint=sb://x/;SharedAccessKeyName=Root;SharedAccessKey={BUS_KEY}", BUS_KEY),
    "event hub": (f"SharedAccessKey = {BUS_KEY};EntityPath=e", BUS_KEY),
    "sas url": (
        "https://a.blob.core.windows.net/c/f?sv=2022&se=2026-01-01&sig=ab%2Bcd%2Fef12%3D&sp=r",
        "ab%2Bcd%2Fef12",
    ),
    "sas token": ("SharedAccessSignature sr=sb%3a%2f%2fx&sig=Zk9%2bqq%3d&se=1&skn=Root", "Zk9%2bqq"),
    "sig alone": ("sig=abcdEFGH1234", "abcdEFGH1234"),
    "bearer": ("Authorization: Bearer abc.def-ghi_jkl012345", "abc.def-ghi_jkl012345"),
    "short bearer": ("'Authorization': 'Bearer s3cr3t'", "s3cr3t"),
    "bearer alone": ("sent bearer 0123456789abcdef0123", "0123456789abcdef0123"),
    "basic": ("authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    "jwt": (f"token was {JWT}.", JWT),
    "jwt in json": (f'{{"access_token":"{JWT}"}}', JWT),
    "jwt that was cut": (f"got {JWT[:60]}", JWT[10:60]),
    "jwt without a name": (JWT, JWT),
    "password": ("password=hunter22", "hunter22"),
    "password in capitals": ("DB_PASSWORD=hunter22", "hunter22"),
    "password in yaml": ("password: hunter-2-and-more", "hunter-2-and-more"),
    "password in json": ('{"password": "correct horse battery"}', "correct horse battery"),
    "password in a repr": ("{'user': 'x', 'password': 'it is me'}", "it is me"),
    "password in sql": ("Server=x;User Id=u;Password=p@ss;word;Encrypt=yes", "p@ss"),
    "pwd": ("Driver=ODBC;UID=sa;PWD=Sup3rS3cret!;", "Sup3rS3cret!"),
    "password on a command line": ("mysql --user x --password hunter22 db", "hunter22"),
    "password in an address": ("postgresql://svc:hunter22@db.local:5432/x", "hunter22"),
    "password in redis": ("redis://:hunter22@cache:6379/0", "hunter22"),
    "client secret": ("AZURE_CLIENT_SECRET=abc8Q~0123456789abcdefghijklmnopqrstuv", "0123456789abcdefghij"),
    "client secret alone": ("with abc8Q~0123456789abcdefghijklmnopqrstuv failed", "0123456789abcdefghij"),
    "api key": ("openai.api_key = 'sk-0123456789abcdefghijABCD'", "sk-0123456789abcdefghijABCD"),
    "api key header": ("x-api-key: 0123abcd4567", "0123abcd4567"),
    "function key": ("https://f.azurewebsites.net/api/x?code=abcDEF123456==&a=1", "abcDEF123456=="),
    "function key header": ("{'x-functions-key': 'abcDEF123456=='}", "abcDEF123456=="),
    "subscription key": (
        "Ocp-Apim-Subscription-Key: 0123456789abcdef0123456789abcdef",
        "0123456789abcdef0123456789abcdef",
    ),
    "storage key alone": (f"the key {STORAGE_KEY} is wrong", STORAGE_KEY),
    "github": ("remote: ghp_0123456789abcdefghijABCDEFGHIJ012345", "ghp_0123456789"),
    "hugging face": ("HF token hf_0123456789abcdefghijABCDEFGHIJ01", "hf_0123456789"),
    "aws": ("AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
    "aws secret": ("aws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI"),
    "databricks": ("dapi0123456789abcdef0123456789abcdef", "dapi0123456789abcdef0123456789abcdef"),
    "private key": (PEM, "MIIEpAIBAAKCAQEA7"),
    "private key that was cut at its end": (PEM[:60], "MIIEpAIBAAKCAQEA7"),
    "private key that was cut at its beginning": (PEM[32:], "MIIEpAIBAAKCAQEA7"),
    "escapes in the name": ("Account\x1b[31mKey\x1b[0m=" + STORAGE_KEY, STORAGE_KEY),
    "unseen in the name": ("pass\x00word=hunter22", ""),
}

#: Texts that are common in promotions.
HARMLESS = [
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "commit 08c6976f1e2d3c4b5a69788796a5b4c3d2e1f001 of main",
    "/subscriptions/9a8b7c6d-1111-2222-3333-444455556666/resourceGroups/rg-ml/providers/"
    "Microsoft.MachineLearningServices/workspaces/ws-prod/onlineEndpoints/churn/deployments/churn-3-1",
    "azureml://registries/contoso-ml/models/churn/versions/2026-11-20.rc_1",
    "azureml://locations/westeurope/workspaces/9a8b7c6d-1111-2222-3333-444455556666/models/churn/versions/3",
    "churn-eu-3-0123456789ab:prod:deploy:1:4",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "KeyError: 'token'",
    "KeyError: 'AccountKey'",
    "max_tokens=512, n_tokens: 1024, tokens/s: 35.2",
    "Tokenizer loaded in 3.2 s; vocabulary_size=32000",
    "pad_token=<pad>, eos_token=<|endoftext|>",
    "The secret of success: practice",
    "password: must not be empty",
    "token: expected a text, got None",
    "password=None token=null secret=''",
    "password=${DB_PASSWORD}",
    "Bearer authentication is required",
    "Basic authentication is switched off for this endpoint",
    "primary key of table runs: id",
    "keys: ['a', 'b']",
    "signature=def init(): missing",
    "AuthorizationFailed: The client 'id-prod' with object id '9a8b7c6d-1111-2222-3333-444455556666' does not have "
    "authorization to perform action 'Microsoft.MachineLearningServices/workspaces/onlineEndpoints/write'",
    "BadArgument: user code failed at /var/azureml-app/score.py:17",
    "https://churn.westeurope.inference.ml.azure.com/score",
    "metric accuracy 0.9731 is at least 0.95",
    "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=",
    f"integrity sha512-{STORAGE_KEY}",
    "conflict with https://example.org:8080/path@v2",
    "ValueError: could not convert string to float: 'abc'",
    "image contoso.azurecr.io/azureml/azureml_0123456789abcdef0123456789abcdef:latest",
    "password=***",
]


@pytest.mark.parametrize(("text", "secret"), SECRETS.values(), ids=SECRETS)
def test_a_secret_is_taken_out(text: str, secret: str) -> None:
    found = clean(text)
    if secret:
        assert secret not in found
        assert MARK in found
    assert clean(found) == found
    # Wherever it is.
    around = clean(f"ValueError: before it, {text} and after it")
    assert not secret or secret not in around
    assert around.startswith("ValueError: before it, ")


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_text_is_unchanged(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize(
    ("name", "between", "secret"),
    [
        *((name, "=", "hunter22") for name in ("AccountKey", "secret", "token", "password", "passphrase", "pwd")),
        *((name, "=", "hunter22") for name in ("credential", "sharedaccesssignature", "sig", "signature")),
        *((name, " ", "0123456789abcdef0123") for name in ("Bearer", "Basic", "SharedKey", "SharedKeyLite")),
        *((f"Authorization: {name}", " ", "s3cr3t") for name in ("Bearer", "Basic", "SharedKey")),
        *((name, ": ", "abcDEF123456") for name in ("x-functions-key", "ocp-apim-subscription-key", "x-api-key")),
        *((name, ": ", "abcDEF123456") for name in ("aeg-sas-key", "aeg-sas-token", "x-ms-token")),
    ],
)
def test_a_secret_is_found_by_its_name_in_any_letters(name: str, between: str, secret: str) -> None:
    """What patterns that ignore case take for the letters of a name."""
    every = "".join(map(chr, (code for code in range(sys.maxunicode) if not 0xD800 <= code < 0xE000)))
    for place, letter in enumerate(name):
        for other in re.findall(re.escape(letter), every, re.IGNORECASE):
            written = name[:place] + other + name[place + 1 :]
            assert without_secrets(f"{written}{between}{secret}") == f"{written}{between}{MARK}"


def test_what_stands_around_a_secret_stays() -> None:
    said = f"cannot connect with AccountName=models;AccountKey={STORAGE_KEY};EndpointSuffix=core.windows.net"
    assert (
        without_secrets(said)
        == f"cannot connect with AccountName=models;AccountKey={MARK};EndpointSuffix=core.windows.net"
    )
    assert (
        without_secrets("GET https://a/c?sv=1&sig=abcd1234&sp=r failed")
        == f"GET https://a/c?sv=1&sig={MARK}&sp=r failed"
    )


@pytest.mark.parametrize(
    "text",
    [
        "a" * 100_000,
        "password" * 10_000,
        "a-b_" * 25_000,
        "a.b." * 25_000 + "token",
        "eyJ" * 30_000,
        "://:" * 25_000,
        "-----BEGIN PRIVATE KEY-----" * 4_000,
        ("A" * 64 + "\n") * 1_500,
        "password: " * 10_000,
        "\x1b]" * 50_000,
        " --" * 30_000,
        '"' * 100_000,
    ],
    ids=lambda text: text[:12],
)
def test_no_text_takes_long(text: str) -> None:
    begun = time.process_time()
    clean(text)
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b[2J\x1b[Hgone", "gone"),
        ("\x9b31mred", "\\x9b31mred"),
        ("a\x00b\x07c\x08d\x7f", "a\\x00b\\x07c\\x08d\\x7f"),
        ("over\rwritten", "over\\x0dwritten"),
        ("two\r\nlines\n\tand a tab", "two\nlines\n\tand a tab"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("line\u2028separator", "line\\u2028separator"),
        ("Müller, 東京, 🚀, naïve", "Müller, 東京, 🚀, naïve"),
    ],
)
def test_what_drives_a_terminal_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert visible(shown) == shown


def test_where_each_line_says_something_of_its_own_there_is_one() -> None:
    assert one_line("no\n2026-11-20 INFO approved") == "no\\n2026-11-20 INFO approved"


@pytest.mark.parametrize(
    "outcome",
    [
        Failed("no: password=hunter22", FailureKind.BUG, "log\npassword=hunter22", {"error": ["password=hunter22"]}),
        Succeeded({"job": {"inputs": {"data": "https://a/c?sig=hunter22"}}, "n": 1, "ok": True, "x": None}),
        Running(timedelta(seconds=1), "password=hunter22"),
        Retry(timedelta(seconds=1), "password=hunter22\x1b[2J"),
        NotRun("password=hunter22"),
    ],
    ids=lambda outcome: type(outcome).__name__,
)
def test_no_outcome_has_a_secret_or_an_escape(outcome: Succeeded | Failed | Running | Retry | NotRun) -> None:
    cleaned = clean_outcome(outcome)
    assert type(cleaned) is type(outcome)
    assert "hunter22" in repr(outcome)
    assert "hunter22" not in repr(cleaned)
    assert MARK in repr(cleaned)
    assert "\x1b" not in repr(cleaned)
    assert clean_outcome(cleaned) == cleaned


def test_reasons_are_as_long_as_people_read_and_of_a_log_the_end_is_kept() -> None:
    cleaned = clean_outcome(Failed("r" * 100_000, FailureKind.BUG, "x" * 100_000 + "the end"))
    assert isinstance(cleaned, Failed)
    assert len(cleaned.reason) == LONGEST_REASON
    assert len(cleaned.diagnosis) == LONGEST_DIAGNOSIS
    assert cleaned.diagnosis.endswith("the end")
