"""Python files: compiled, and a scoring script has the functions that the scoring server calls."""

import ast
from collections.abc import Iterator
from pathlib import Path

from mlpromote.checking.findings import Finding, Rule

#: What a managed online deployment calls.
_CALLED = ("init", "run")
#: Folders that hold other people's code.
_FOREIGN = {"node_modules", "__pycache__", "venv", "site-packages"}


def of_folder(folder: Path) -> Iterator[Finding]:
    """Yield the files of a folder that do not compile."""
    for file in sorted(folder.rglob("*.py")):
        if file.is_file() and not any(
            part.startswith(".") or part in _FOREIGN for part in file.relative_to(folder).parts[:-1]
        ):
            yield from _compiled(file)


def of_scoring_script(file: Path) -> Iterator[Finding]:
    """Yield what keeps the scoring server from using a script that compiles."""
    try:
        content = file.read_text(encoding="utf-8")
        names = _names(ast.parse(content))
    except (OSError, ValueError, SyntaxError, RecursionError):  # reported when it is compiled
        return
    for missing in _CALLED:
        if content.strip() and missing not in names and "*" not in names:
            yield Finding(file, 1, 1, f"has no function {missing}, which the scoring server calls", Rule.CODE)
    if not content.strip():
        yield Finding(file, 1, 1, "is empty", Rule.CODE)


def _compiled(file: Path) -> Iterator[Finding]:
    try:
        compile(file.read_bytes(), str(file), "exec", dont_inherit=True)
    except SyntaxError as fault:
        yield Finding(file, fault.lineno or 1, max(fault.offset or 1, 1), f"does not compile: {fault.msg}", Rule.CODE)
    except (OSError, ValueError, RecursionError, MemoryError) as fault:
        yield Finding(file, 1, 1, f"does not compile: {fault}", Rule.CODE)


def _names(module: ast.Module) -> set[str]:
    """Return what a module defines at its top; `*` if it imports everything from another."""
    found = set[str]()
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {each.asname or each.name for each in node.names}
        elif isinstance(node, ast.Assign):
            found |= {each.id for each in node.targets if isinstance(each, ast.Name)}
    return found
