"""Models that behave as a test wants: slower, failing for a share of their requests, or answering otherwise.

The scoring script is the same for all; the model says how it behaves.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

SCORING_SCRIPT = '''"""Answers as the model's behaviour.json says."""

import json
import os
import random
import time
from pathlib import Path


def init():
    global behaviour, drawn
    behaviour = json.loads(next(Path(os.environ["AZUREML_MODEL_DIR"]).rglob("behaviour.json")).read_text())
    drawn = random.Random(behaviour["seed"])


def run(data):
    time.sleep(behaviour["milliseconds"] / 1000)
    if drawn.random() < behaviour["fails"]:
        raise RuntimeError("this request fails, as the model is told to")
    return behaviour["answer"]
'''


@dataclass(frozen=True)
class Behaviour:
    """How a model behaves."""

    answer: object = "yes"
    #: How long each answer takes, at least.
    milliseconds: float = 0.0
    #: The share of requests that fail, of 1.
    fails: float = 0.0
    #: Of the requests that fail.
    seed: int = 0

    def write(self, folder: Path) -> Path:
        """Writes the model into the folder, which is then what to register."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "behaviour.json").write_text(json.dumps(asdict(self)), encoding="utf-8")
        return folder


def write_scoring_script(folder: Path) -> Path:
    """Writes the code of the deployments, `score.py`; the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "score.py").write_text(SCORING_SCRIPT, encoding="utf-8")
    return folder
