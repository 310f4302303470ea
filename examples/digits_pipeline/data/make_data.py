"""Makes the data of the example: a sample for dev, and for prod all images and a holdout set.

Each is a folder with `images.csv`: one line per image, its digit and then 64 pixels from 0 (paper) to 16 (ink). As in
most data from outside, a few lines are broken. Production's lines are sorted by digit.
"""

import argparse
import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

# The compute environment has these, not the one that checks the types.
from sklearn.datasets import load_digits  # type: ignore[import-not-found]
from sklearn.model_selection import train_test_split  # type: ignore[import-not-found]

#: The same images as in examples/digits, which include its smoke requests.
HELD_OUT = 597
#: One in so many production images is in the sample.
SAMPLED = 4
#: One in so many lines is broken.
BROKEN = 60


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Make the data of the example.")
    parser.add_argument("folder", type=Path, help="gets the folders sample, production and holdout")
    folder = parser.parse_args(arguments).folder
    images, digits = load_digits(return_X_y=True)
    known, held_out, digits_known, digits_held_out = train_test_split(
        images, digits, test_size=HELD_OUT, random_state=0, stratify=digits
    )
    rows = [[int(digit), *map(int, image)] for image, digit in zip(known, digits_known, strict=True)]
    write(folder / "sample", broken(rows[::SAMPLED]))
    write(folder / "production", broken(sorted(rows, key=lambda row: row[0])))
    write(
        folder / "holdout",
        ([int(digit), *map(int, image)] for image, digit in zip(held_out, digits_held_out, strict=True)),
    )


def broken(rows: Iterable[list[Any]]) -> Iterator[list[Any]]:
    """Return the rows, a few of them without their digit or without some of their pixels."""
    for number, row in enumerate(rows, start=1):
        if number % BROKEN == 0:
            yield row[:40] if number % (2 * BROKEN) else ["", *row[1:]]
        yield row


def write(folder: Path, rows: Iterable[list[Any]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "images.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


if __name__ == "__main__":
    main()
