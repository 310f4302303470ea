"""What is installed of this package."""

from importlib.metadata import PackageNotFoundError, version


def own_version() -> str | None:
    """Return the version of this package, or None if it is not installed, as in a checkout that is only on the path."""
    try:
        return version("mlpromote")
    except PackageNotFoundError:
        return None
