"""Writes `docs/settings.md`, the table of the app's settings: `python docs/make_settings_table.py [--check]`."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from docs.generated_page import write_or_check
from shared.config.app_settings import OF_THE_HOST, Documented, documented

TARGET = Path(__file__).with_name("settings.md")


def document() -> str:
    """The whole page."""
    return "\n".join(
        [
            "# Settings",
            "",
            "<!-- Written by docs/make_settings_table.py from shared/config/app_settings.py. -->",
            "",
            "Application settings of the Function App; on one machine, environment variables. On Azure, none of them",
            "is secret. Each `${NAME}` in `promotion.yml` is a setting, too: in the example, `<ENVIRONMENT>_WORKSPACE`",
            "(ARM id) and `<ENVIRONMENT>_IDENTITY` (client id), which `infra/` sets.",
            "",
            "## Of the app",
            "",
            *_table(documented()),
            "",
            "## Of the Functions host",
            "",
            *_table(OF_THE_HOST),
            "",
        ]
    )


def _table(settings: Iterable[Documented]) -> Iterator[str]:
    yield from ("| setting | on Azure | without it | meaning |", "|---|---|---|---|")
    for each in settings:
        yield f"| `{each.name}` | {each.on_azure} | {each.default} | {each.meaning} |"


if __name__ == "__main__":
    sys.exit(write_or_check(TARGET, document, "Write docs/settings.md from the app's settings."))
