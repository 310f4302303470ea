"""A bundle: a configuration with every file that it names, as a content-addressed archive.

The digest of a bundle is the SHA-256 of what `sha256sum` prints for its files, sorted by name. So it depends on names
and contents only: the same files give the same digest on every machine, whatever made the archive.
"""

import io
import re
import stat
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path, PurePosixPath

from shared.config import bundle_secrets
from shared.config.faults import ConfigurationFaults, Fault

#: The configuration, at the top of every bundle.
CONFIGURATION = "promotion.yml"

#: Files of one bundle: ten times what a large team has. Data does not belong in it.
MOST_FILES = 2000
#: Of all files together, unpacked.
MOST_BYTES = 32 * 1024 * 1024
#: Of the archive.
LONGEST_ARCHIVE = 32 * 1024 * 1024
LONGEST_NAME = 200

_WHERE = Path("the bundle")  #: for messages
_DIGEST = re.compile("[0-9a-f]{64}")
_ODD_NAME = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]')

#: Contents by name. Names are relative to the folder of `promotion.yml`, with `/`.
Files = Mapping[str, bytes]


def is_digest(text: str) -> bool:
    """Whether the text has the form of a bundle's digest: 64 hexadecimal digits in lower case."""
    return bool(_DIGEST.fullmatch(text))


def digest_of(files: Files) -> str:
    """The digest of the bundle with these files."""
    lines = (f"{sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    return sha256("".join(lines).encode()).hexdigest()


def archived(files: Files) -> bytes:
    """The files as an archive: a ZIP file without times or owners. `read` is the inverse."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name)
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, 0o644 << 16
            archive.writestr(entry, files[name])
    return target.getvalue()


def read(archive: bytes) -> dict[str, bytes]:
    """Return the files in an archive. Raises `ConfigurationFaults` with every file that a bundle cannot have.

    Never unpacks more than `MOST_BYTES`, whatever the archive says of itself.
    """
    if len(archive) > LONGEST_ARCHIVE:
        raise ConfigurationFaults(_WHERE, [Fault("(archive)", f"has more than {_mebibytes(LONGEST_ARCHIVE)}")])
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            found, contents = list(_entries(opened)), dict[str, bytes]()
            faults = [fault for fault, _ in found if fault]
            if not faults:
                contents = dict(_contents(opened, [entry for _, entry in found if entry]))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, UnicodeDecodeError) as fault:
        raise ConfigurationFaults(
            _WHERE, [Fault("(archive)", f"is not a ZIP archive that can be read: {fault}")]
        ) from fault
    if not faults and CONFIGURATION not in contents:
        faults.append(Fault(CONFIGURATION, "is missing at the top of the bundle"))
    if faults:
        raise ConfigurationFaults(_WHERE, faults)
    return contents


def read_new(archive: bytes) -> dict[str, bytes]:
    """Like `read`, for a bundle that is not stored yet: its files must not hold secrets.

    Stored bundles are not asked again, so that promotions can use them after an upgrade that knows more secrets.
    """
    files = read(archive)
    if found := bundle_secrets.faults(files):
        raise ConfigurationFaults(_WHERE, found)
    return files


def name_faults(names: Iterable[str]) -> list[Fault]:
    """A fault for each name that some system refuses, or takes for another one of them."""
    known: dict[str, str] = {}
    found = []
    for name in names:
        alike = known.setdefault(name.casefold(), name)
        says = _name_fault(name)
        # Two names that some file systems take for one would overwrite each other.
        if not says and alike != name:
            says = f"differs from {alike} only in the case of letters"
        if says:
            found.append(Fault(name, says))
    return found


def unpack(files: Files, folder: Path) -> None:
    """Write the files, which `read` returned, into a folder."""
    for name, content in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def files_in(folder: Path) -> dict[str, bytes]:
    """Return the files in a folder that `unpack` wrote."""
    every = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in every}


def _entries(archive: zipfile.ZipFile) -> Iterator[tuple[Fault | None, zipfile.ZipInfo | None]]:
    """Each file of the archive, or what is wrong with it."""
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(entries) > MOST_FILES:
        yield Fault("(archive)", f"has {len(entries)} files; a bundle has at most {MOST_FILES}. Leave out data"), None
        return
    size = sum(entry.file_size for entry in entries)
    if size > MOST_BYTES:
        says = f"has {_mebibytes(size)} of files; a bundle has at most {_mebibytes(MOST_BYTES)}. Leave out data"
        yield Fault("(archive)", says), None
    odd = {fault.place: fault.sentence for fault in name_faults(entry.filename for entry in entries)}
    times = Counter(entry.filename for entry in entries)
    for entry in entries:
        name = entry.filename
        says = odd.get(name) or _kind_fault(entry) or ("is in the archive twice" if times[name] > 1 else "")
        yield (Fault(name, says), None) if says else (None, entry)


def _name_fault(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or path.as_posix() != name:
        return "is not a plain path below the folder of promotion.yml"
    if _ODD_NAME.search(name) or any(part != part.strip(" ") or part.endswith(".") for part in path.parts):
        return "has a character in its name that some systems refuse; rename it"
    if len(name) > LONGEST_NAME:
        return f"has a name of more than {LONGEST_NAME} characters"
    if unicodedata.normalize("NFC", name) != name:
        return "has a name that is not in Unicode's composed form (NFC)"
    return ""


def _kind_fault(entry: zipfile.ZipInfo) -> str:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "is a symbolic link; put the file itself there"
    if kind not in (0, stat.S_IFREG):
        return "is not an ordinary file"
    return "is encrypted" if entry.flag_bits & 1 else ""


def _contents(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> Iterator[tuple[str, bytes]]:
    left = MOST_BYTES
    for entry in entries:
        with archive.open(entry) as opened:
            content = opened.read(left + 1)
        left -= len(content)
        if left < 0:
            raise zipfile.BadZipFile(f"it has more than {_mebibytes(MOST_BYTES)}")
        yield entry.filename, content


def _mebibytes(size: int) -> str:
    return f"{size / 1024 / 1024:.0f} MB"
