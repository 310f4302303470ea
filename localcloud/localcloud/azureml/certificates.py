"""The certificate authority that clients of the local Azure ML trust; created at the first start and then kept."""

import os
import ssl
from pathlib import Path

import trustme

AUTHORITY = "ca.pem"
HOSTS = ("localhost", "127.0.0.1")


def server_context(folder: Path) -> ssl.SSLContext:
    """TLS for localhost. `folder/ca.pem` is what clients name in REQUESTS_CA_BUNDLE and SSL_CERT_FILE."""
    authority, server = folder / AUTHORITY, folder / "server.pem"
    if not (authority.exists() and server.exists()):
        _make(authority, server)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(server)
    return context


def _make(authority: Path, server: Path) -> None:
    made = trustme.CA()
    certificate = made.issue_cert(*HOSTS)
    draft = server.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(certificate.private_key_and_cert_chain_pem.bytes())
    made.cert_pem.write_to_path(str(authority))
    draft.replace(server)  # last: either both files exist, or both are made again
