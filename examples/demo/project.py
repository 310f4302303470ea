"""What the app of the demo is configured from: a copy of an example, so that the story may change it."""

import shutil
from pathlib import Path

from localcloud.up import Description
from localcloud.up.description import App

DIGITS = Path(__file__).parents[1] / "digits"
_SETTING = "MLPROMOTE_CONFIGURATION"

_PROD = "        deployment: deployments/digits.prod.yml\n"
APPROVAL = "        approval: {min: 1, expires: 1h}\n"
#: In a few seconds. On Azure these are minutes and hours.
ROLLOUT = """\
        rollout:
          steps: [{mirror: 20, for: 1s}, {traffic: 30, for: 3s}, {traffic: 60, for: 2s}]
          analysis:
            - {metric: error_rate, at_most: 1%}
            - {metric: latency_p95, no_worse_than_champion_by: 150ms}
          min_requests: 10
          metrics_delay: 1s
          watch: 2s
          keep: 1h
"""
_LOADS = "    model = joblib.load(file)\n"
MENDED = """\
    if isinstance(model, dict):  # a bundle: the pipeline and its metrics
        model = model["pipeline"]
"""
_SCORES = "    probabilities = model.predict_proba(images)\n"
SLOWER = """\
    time.sleep(0.3)  # a colleague's service explains the answer
"""
_IMPORTS = "import os\n"


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
        # A minute of the metrics lasts a second, since a rollout here takes a few.
        azureml = description.azureml | {"metrics": {"delay_seconds": 0.5, "minute_seconds": 1}}
        update = {"app": app.model_copy(update={"settings": settings}), "azureml": azureml}
        return description.model_copy(update=update)

    def ask_for_approval(self) -> str:
        """Require approval for prod, from the app's next start on. Return the new line."""
        return _add_after(_PROD, APPROVAL, self._folder / "promotion.yml")

    def roll_out_gradually(self) -> str:
        """Move prod's traffic gradually, from the app's next start on. Return the new lines."""
        return _add_after(_PROD, ROLLOUT, self._folder / "promotion.yml")

    def slow_scoring_down(self) -> str:
        """Make the scoring code take its time for each request. Return the new line."""
        file = self._folder / "scoring" / "score.py"
        _add_after(_IMPORTS, "import time\n", file)
        return _add_after(_SCORES, SLOWER, file)

    def mend_scoring(self) -> str:
        """Make the scoring code load bundles too. Return the new lines."""
        return _add_after(_LOADS, MENDED, self._folder / "scoring" / "score.py")


def _add_after(line: str, more: str, file: Path) -> str:
    text = file.read_text(encoding="utf-8")
    if text.count(line) != 1:
        raise ValueError(f"{file} must have this line once: {line.strip()}")
    file.write_text(text.replace(line, line + more), encoding="utf-8")
    return more
