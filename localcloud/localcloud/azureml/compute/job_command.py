"""A job's command with the values of its inputs and outputs in it."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

REFERENCE = re.compile(r"\$\{\{\s*(inputs|outputs)\.([\w.]+)\s*\}\}")
OPTIONAL = re.compile(r"\$\[\[(.*?)\]\]", re.DOTALL)


def substitute(command: str, inputs: Mapping[str, str | Path], outputs: Mapping[str, Path]) -> str:
    """Puts the values of `${{inputs.x}}` and `${{outputs.y}}` into a command.

    Texts and numbers are inserted unchanged, as in Azure ML. A path stays one word for the shell, with or without
    quotation marks: paths in Azure ML have no spaces, but paths on this machine may. A part in `$[[ ]]` is left out if
    an input in it has no value. Otherwise a ValueError names what is missing.
    """
    values = {"inputs": inputs, "outputs": outputs}

    def optional(part: re.Match[str]) -> str:
        known = all(name in values[kind] for kind, name in REFERENCE.findall(part[1]))
        return part[1] if known else ""

    command = OPTIONAL.sub(optional, command)
    filled, end = "", 0
    for reference in REFERENCE.finditer(command):
        kind, name = reference.groups()
        if name not in values[kind]:
            raise ValueError(f"the command uses {reference[0]}, but the job has no {kind.removesuffix('s')} {name}")
        filled += command[end : reference.start()]
        value = values[kind][name]
        filled += _quoted(value, _open_quotation(filled)) if isinstance(value, Path) else value
        end = reference.end()
    return filled + command[end:]


def _open_quotation(text: str) -> str:
    """The quotation mark that is still open at the end of this text, if any."""
    quotation, escaped = "", False
    for character in text:
        if escaped:
            escaped = False
        elif character == "\\" and quotation != "'":
            escaped = True
        elif character == quotation:
            quotation = ""
        elif not quotation and character in "'\"":
            quotation = character
    return quotation


def _quoted(path: Path, quotation: str) -> str:
    """The path, quoted for the shell."""
    if quotation == '"':
        return re.sub(r'([\\"$`])', r"\\\1", str(path))
    if quotation == "'":
        return str(path).replace("'", "'\\''")
    return shlex.quote(str(path))
