"""What processes the tests have started, at any depth."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import psutil


def children_with(argument: str) -> list[psutil.Process]:
    """The children of this process that were started with the argument."""
    return _children(lambda child: argument in child.cmdline())


def children_in(folder: Path) -> list[psutil.Process]:
    """The children of this process that are below the folder, or were started with something below it."""
    return _children(lambda child: any(str(folder) in text for text in (child.cwd(), *child.cmdline())))


def _children(are_meant: Callable[[psutil.Process], bool]) -> list[psutil.Process]:
    found = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended, and may only wait to be asked how
            if are_meant(child):
                found.append(child)
    return found
