"""Runs tests on one mutant: `python -m tests.mutants.one FILE NUMBER PYTEST-ARGUMENTS…`.

The fault is put in while the module is imported, so that no file changes, and several mutants can be tried at once.
"""

import resource
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

import pytest

from tests.mutants.mutations import Mutation, mutation


class _Loader(SourceFileLoader):
    def __init__(self, name: str, file: Path, fault: Mutation) -> None:
        super().__init__(name, str(file))
        self._mutation = fault

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._mutation.tree, self.path, "exec")


class _Finder(MetaPathFinder):
    def __init__(self, file: Path, fault: Mutation) -> None:
        self._name = ".".join(file.with_suffix("").parts)
        self._file = file.resolve()
        self._fault = fault

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        return spec_from_file_location(fullname, self._file, loader=_Loader(fullname, self._file, self._fault))


#: Seconds of the processor's time. The tests take a third of it. What takes longer never ends.
MOST = 60


def main(file: str, number: str, *arguments: str) -> int:
    resource.setrlimit(resource.RLIMIT_CPU, (MOST, MOST))
    sys.meta_path.insert(0, _Finder(Path(file), mutation(Path(file), int(number))))
    return int(pytest.main(list(arguments)))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
