"""Compares collected answers: the share of the candidate's that the champion never gave."""

import argparse
import json
from pathlib import Path

import mlflow  # type: ignore[import-not-found]

parser = argparse.ArgumentParser()
parser.add_argument("--ours", type=Path, required=True)
parser.add_argument("--theirs", type=Path, required=True)
given = parser.parse_args()


def answers(folder: Path) -> list[str]:
    """The collected answers, as text."""
    lines = (line for file in folder.rglob("*.jsonl") for line in file.read_text().splitlines())
    return [json.dumps(json.loads(line)["data"]) for line in lines]


ours, theirs = answers(given.ours), set(answers(given.theirs))
mlflow.log_metric("answers", len(ours))
mlflow.log_metric("disagreement", sum(each not in theirs for each in ours) / len(ours))
