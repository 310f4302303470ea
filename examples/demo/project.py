"""What the app of the demo is configured from: a copy of an example, so that the story may change it."""

import shutil
from pathlib import Path

from localcloud.up import Description
from localcloud.up.description import App

DIGITS = Path(__file__).parents[1] / "digits"
_SETTING = "MLPROMOTE_CONFIGURATION"

_PROD = "        deployment: deployments/digits.prod.yml\n"
APPROVAL = "        approval: {min: 1, expires: 1h}\n"
_LOADS = "    model = joblib.load(file)\n"
MENDED = """\
    if isinstance(model, dict):  # a bundle: the pipeline and its metrics
        model = model["pipeline"]
"""


class Project:
    """The copy in a local cloud's folder."""

    def __init__(self, data: Path, example: str = DIGITS.name) -> None:
        """Makes the copy. `data` must be empty or missing.

        `example` is a folder of examples; those beside `digits` may use its files, so that is copied, too.
        """
        data.mkdir(parents=True, exist_ok=True)
        # The lock identifies the folder as a local cloud's to the next run, however early this one ends.
        (data / "lock").touch()
        self._example = example
        self._folder = data / example
        for name in {DIGITS.name, example}:
            shutil.copytree(DIGITS.parent / name, data / name, ignore=shutil.ignore_patterns("__pycache__"))

    def configured(self, description: Description) -> Description:
        """The local cloud with its app configured from the copy."""
        app = description.app or App()
        settings = app.settings | {_SETTING: f"{{data}}/{self._example}/promotion.yml"}
        return description.model_copy(update={"app": app.model_copy(update={"settings": settings})})

    def ask_for_approval(self) -> str:
        """Require approval for prod, from the app's next start on. Return the new line."""
        return _add_after(_PROD, APPROVAL, self._folder / "promotion.yml")

    def mend_scoring(self) -> str:
        """Make the scoring code load bundles too. Return the new lines."""
        return _add_after(_LOADS, MENDED, self._folder / "scoring" / "score.py")


def _add_after(line: str, more: str, file: Path) -> str:
    text = file.read_text(encoding="utf-8")
    if text.count(line) != 1:
        raise ValueError(f"{file} must have this line once: {line.strip()}")
    file.write_text(text.replace(line, line + more), encoding="utf-8")
    return more
