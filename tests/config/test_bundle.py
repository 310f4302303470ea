"""A bundle is the same on every machine, and holds nothing that it should not."""

import io
import zipfile
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

import pytest

from shared.config import ConfigurationFaults, bundle

FILES = {"promotion.yml": b"routes: {}\n", "scoring/score.py": b"print(1)\r\n", "a.txt": b""}


def zipped(files: Mapping[str, bytes], change: Callable[[zipfile.ZipInfo], None] = lambda entry: None) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, (2031, 1, 2, 3, 4, 6))
            change(entry)
            archive.writestr(entry, content)
    return target.getvalue()


def fault_of(archive: bytes) -> str:
    with pytest.raises(ConfigurationFaults) as refused:
        bundle.read_new(archive)
    return "\n".join(map(str, refused.value.faults))


def test_the_digest_is_that_of_what_sha256sum_prints_for_the_sorted_files() -> None:
    printed = "".join(
        f"{sha256(FILES[name]).hexdigest()}  {name}\n" for name in ("a.txt", "promotion.yml", "scoring/score.py")
    )
    assert bundle.digest_of(FILES) == sha256(printed.encode()).hexdigest()
    assert bundle.is_digest(bundle.digest_of(FILES))


def test_order_times_and_compression_of_the_archive_do_not_change_the_digest() -> None:
    other = zipped(dict(reversed(FILES.items())))
    assert other != bundle.archived(FILES)
    assert bundle.read(other) == bundle.read(bundle.archived(FILES)) == FILES
    assert bundle.digest_of(bundle.read(other)) == bundle.digest_of(FILES)


def test_the_archive_is_the_same_whatever_the_order_of_the_files() -> None:
    assert bundle.archived(FILES) == bundle.archived(dict(reversed(FILES.items())))


@pytest.mark.parametrize("change", [{"a.txt": b"x"}, {"b.txt": b""}, {"scoring/score.py": b"print(1)\n"}])
def test_every_byte_and_every_name_counts(change: dict[str, bytes]) -> None:
    assert bundle.digest_of(FILES | change) != bundle.digest_of(FILES)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("../out.txt", "plain path"),
        ("/etc/passwd", "plain path"),
        ("a/../b", "plain path"),
        ("./b", "plain path"),
        ("a\\b", "refuse"),
        ("c:d", "refuse"),
        ("line\nbreak", "refuse"),
        ("end./x", "refuse"),
        ("x" * 201, "200 characters"),
        ("u\u0308.txt", "NFC"),
        ("A.txt", "case of letters"),
        (".env", "secret"),
        ("certs/prod.PEM", "secret"),
        ("local.settings.json", "secret"),
    ],
)
def test_an_odd_file_is_refused_with_its_name(name: str, says: str) -> None:
    found = fault_of(zipped({**FILES, name: b"x"}))
    assert says in found
    assert name.splitlines()[0] in found


def test_a_private_key_in_any_file_is_refused() -> None:
    assert "notes.txt: looks like a secret" in fault_of(
        zipped({**FILES, "notes.txt": b"x\n-----BEGIN RSA PRIVATE KEY-----\n"})
    )


#: Made from parts, so that no scanner of secrets takes them for real ones.
ACCOUNT_KEY = "Ab3+/x" * 14 + "Ab" + "=="
SHARED_ACCESS_KEY = "Ab3+/x" * 7 + "A" + "="


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (f'CONNECTION = "DefaultEndpointsProtocol=https;AccountName=x;AccountKey={ACCOUNT_KEY}"', "an AccountKey"),
        (f'CONNECTION = "AccountKey=" \\\n    "{ACCOUNT_KEY}"', "an AccountKey"),
        (f'BlobServiceClient(url, account_key="{ACCOUNT_KEY}")', "an AccountKey"),
        (f'{{"accountKey": "{ACCOUNT_KEY}"}}', "an AccountKey"),
        (f'BUS = "Endpoint=sb://x/;SharedAccessKeyName=y;SharedAccessKey={SHARED_ACCESS_KEY}"', "a SharedAccessKey"),
        (f'read("https://x.blob.core.windows.net/y?sv=2024&sig={"aB3%2F" * 8}%3D")', "a shared access signature"),
        (f'TOKEN = "ghp_{"aB3" * 12}"', "a token"),
        (f'SECRET = "abc8Q~{"aB3." * 8}"', "a client secret of Entra ID"),
        (f'KEY = "{"aB3-" * 11}AzFuaB3-aQ=="', "a function key"),
        (f'KEY = "{"aB3x" * 13}JQQJ99{"ABC" * 6}"', "a key of Azure AI services"),
    ],
)
def test_a_key_in_code_is_refused_with_its_line_and_not_shown(code: str, says: str) -> None:
    found = fault_of(zipped({**FILES, "scoring/score.py": f"import os\n{code}\n".encode()}))
    assert found.startswith(f"scoring/score.py: has what looks like {says} in line 2; remove it")
    assert "aB3" not in found
    assert "Ab3" not in found


@pytest.mark.parametrize(
    "code",
    [
        'CONNECTION = f"AccountName=x;AccountKey={key};EndpointSuffix=y"',
        'CONNECTION = "AccountName=x;AccountKey=<your key>"',
        'CONNECTION = os.environ["AccountKey"]',
        'account_key = os.environ["STORAGE_KEY"]',
        'BUS = "SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE"',
        f'DIGEST = "{"0a" * 64}"',
        f'account_key = sha256("{"0a" * 32}")',
        'html = "<div class=sk-toggleable__label-arrow-of-an-estimator>"',
        'url = f"{account}?sig={signature}"',
        f'{{"image": "{"Ab3+/x" * 500}=="}}',
        f'{{"image": "{"Ab3x" * 500}AzFu{"Ab3x" * 500}=="}}',
    ],
)
def test_code_that_gets_its_key_from_elsewhere_is_published(code: str) -> None:
    assert bundle.read_new(zipped({**FILES, "scoring/score.py": code.encode()}))


def test_a_bundle_that_is_stored_can_be_used_whatever_is_taken_for_a_secret_now() -> None:
    files = {**FILES, "scoring/score.py": f'KEY = "AccountKey={ACCOUNT_KEY}"'.encode()}
    assert bundle.read(bundle.archived(files)) == files


def test_a_symbolic_link_is_refused() -> None:
    def link(entry: zipfile.ZipInfo) -> None:
        entry.external_attr = 0o120777 << 16

    assert "promotion.yml: is a symbolic link" in fault_of(zipped(FILES, link))


def test_a_device_is_refused() -> None:
    def device(entry: zipfile.ZipInfo) -> None:
        entry.external_attr = 0o020666 << 16

    assert "is not an ordinary file" in fault_of(zipped(FILES, device))


def test_a_file_that_is_there_twice_is_refused() -> None:
    archive = zipped({"promotion.yml": b"1", "promotiom.yml": b"2"})
    assert "twice" in fault_of(archive.replace(b"promotiom.yml", b"promotion.yml"))


def test_too_many_files_are_refused() -> None:
    assert "at most 2000" in fault_of(zipped({f"{number}.txt": b"" for number in range(2001)}))


def test_too_many_bytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "MOST_BYTES", 1024 * 1024)
    assert "at most 1 MB" in fault_of(zipped({**FILES, "data.csv": b"x" * 2 * 1024 * 1024}))


def test_an_archive_that_lies_about_its_size_is_not_unpacked_further(monkeypatch: pytest.MonkeyPatch) -> None:
    archive = bundle.archived({**FILES, "data.csv": b"x" * 3000})
    monkeypatch.setattr(bundle, "MOST_BYTES", 2000)
    lying = archive.replace((3000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    assert lying != archive
    assert fault_of(lying)


@pytest.mark.parametrize("archive", [b"", b"no archive", bundle.archived(FILES)[:-30]])
def test_what_is_no_archive_is_refused(archive: bytes) -> None:
    assert "is not a ZIP archive" in fault_of(archive)


def test_a_bundle_without_a_configuration_is_refused() -> None:
    assert "promotion.yml: is missing" in fault_of(zipped({"other.yml": b""}))


def test_what_is_unpacked_is_read_again_as_the_same_bundle(tmp_path: Path) -> None:
    bundle.unpack(bundle.read(bundle.archived(FILES)), tmp_path)
    assert (tmp_path / "scoring" / "score.py").read_bytes() == b"print(1)\r\n"
    assert bundle.files_in(tmp_path) == FILES
