"""The sign-in settings: which tokens are valid, for which app, and whether a function key is accepted too."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from shared.config.app_settings import AppSettings

MODE = "MLPROMOTE_SIGN_IN"
TENANT = "MLPROMOTE_SIGN_IN_TENANT"
CLIENT_ID = "MLPROMOTE_SIGN_IN_CLIENT_ID"
AUTHORITY = "MLPROMOTE_SIGN_IN_AUTHORITY"
#: For the public cloud. Others: https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud
PUBLIC_AUTHORITY = "https://login.microsoftonline.com"

_REQUIRED, _OPTIONAL = "required", "optional"
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class SignInSettingsError(ValueError):
    """The settings do not allow sign-in; the text says what is wrong with each and what it must be."""


@dataclass(frozen=True)
class SignInSettings:
    """Which tokens are valid. All values have the form that Microsoft Entra ID uses in version 2 tokens."""

    tenant: str  #: id of the Entra ID tenant
    client_id: str  #: of the app registration: the audience of its tokens
    authority: str = PUBLIC_AUTHORITY  #: without a slash at the end

    @property
    def issuer(self) -> str:
        """The claim `iss` of every valid token."""
        return f"{self.authority}/{self.tenant}/v2.0"

    @property
    def metadata(self) -> str:
        """The address of the OpenID configuration, by OpenID Connect Discovery 1.0, section 4."""
        return f"{self.issuer}/.well-known/openid-configuration"


def is_required(settings: AppSettings) -> bool:
    """Return whether function keys are refused. Only the exact word `optional` turns that off."""
    return settings.sign_in.lower() != _OPTIONAL


def read(settings: AppSettings) -> SignInSettings | None:
    """Read the settings; None if sign-in is neither configured nor required. Raises `SignInSettingsError`."""
    mode, authority = settings.sign_in, settings.sign_in_authority
    tenant, client_id = settings.sign_in_tenant, settings.sign_in_client_id
    if not (tenant or client_id or authority or is_required(settings)):
        return None
    authority = (authority or PUBLIC_AUTHORITY).rstrip("/")
    faults = [
        *([] if mode.lower() in ("", _REQUIRED, _OPTIONAL) else [f"{MODE} must be {_REQUIRED} or {_OPTIONAL}"]),
        *_no_guid(TENANT, tenant, "the id of the Entra ID tenant"),
        *_no_guid(CLIENT_ID, client_id, "the client id of the app registration"),
        *([] if _is_authority(authority) else [f"{AUTHORITY} must be an address such as {PUBLIC_AUTHORITY}"]),
    ]
    if faults:
        raise SignInSettingsError(f"Sign-in does not work, because settings are missing or wrong: {'; '.join(faults)}.")
    return SignInSettings(tenant.lower(), client_id.lower(), authority)


def is_private(address: str) -> bool:
    """Return whether the connection is safe: it uses TLS or stays on this machine."""
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK))


def _is_authority(address: str) -> bool:
    return is_private(address) and not re.search(r"[?#@\s]", address) and not urlsplit(address).path


def _no_guid(name: str, value: str, what: str) -> list[str]:
    return [] if _GUID.fullmatch(value.lower()) else [f"{name} must be {what}, a GUID"]
