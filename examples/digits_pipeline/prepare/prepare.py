"""The first step: drops broken lines, and sets a fifth of the images aside to test the model."""

import argparse
import csv
import random
from collections.abc import Sequence
from pathlib import Path

# The compute environment has it, not the one that checks the types.
import mlflow  # type: ignore[import-not-found]

PIXELS = 64
TESTED = 0.2
Row = list[str]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Prepare images of digits.")
    parser.add_argument("--images", type=Path, required=True, help="folder with images.csv")
    parser.add_argument("--split", choices=["random", "last"], required=True, help="which images to test with")
    parser.add_argument("--prepared", type=Path, required=True, help="folder to write train.csv and test.csv to")
    parsed = parser.parse_args(arguments)

    with (parsed.images / "images.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    kept = [row for row in rows if is_whole(row)]
    training, testing = split(kept, parsed.split)
    for name, part in (("train", training), ("test", testing)):
        with (parsed.prepared / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(part)
    mlflow.log_metrics({"images": len(kept), "dropped": len(rows) - len(kept)})
    print(f"kept {len(kept)} images and dropped {len(rows) - len(kept)}; {len(testing)} are for testing")


def is_whole(row: Row) -> bool:
    """Return whether the line has a digit and all pixels."""
    return len(row) == PIXELS + 1 and all(field.isdigit() for field in row)


def split(rows: list[Row], how: str) -> tuple[list[Row], list[Row]]:
    """Return rows for training and rows for testing: drawn at random, or the last ones in the file."""
    if how == "random":
        rows = random.Random(0).sample(rows, len(rows))
    first = round(len(rows) * (1 - TESTED))
    return rows[:first], rows[first:]


if __name__ == "__main__":
    main()
