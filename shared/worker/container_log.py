"""Finds the user's error in the log of a deployment's container, and skips what the scoring server writes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest

from shared.core.redaction import clean
from shared.ports import ForbiddenError, RejectedError, Workspace

READ_LINES = 300  #: how much of the log is read
SHOWN_LINES = 20  #: how much of it is kept
LONGEST_LINE = 500

# The scoring server wraps exceptions of the scoring code in its own.
_OF_THE_SERVER = re.compile(r"azureml_inference_server_http\.|gunicorn\.")
_TRACEBACK = re.compile(r"Traceback \(most recent call last\):\s*$")
_FRAME = re.compile(r'\s+File "(?P<path>[^"]+)", line (?P<line>\d+), in (?P<function>.+)$')
_RAISED = re.compile(r"[A-Za-z_][\w.]*(: .*)?$")
_CHAINED = re.compile(r"(The above exception was the direct cause|During handling of the above exception)")
#: Files of Python and of packages. Every other file is the user's.
_INSTALLED = re.compile(r"[\\/](site-packages|dist-packages|python3(\.\d+)?)[\\/]|^<frozen ")
#: Lines that the server and gunicorn write. What the scoring code prints is not among them.
_NOISE = re.compile(
    r"^\S+ \S+ [A-Z] \[\d+\] (gunicorn\.|azmlinfsrv(?!\.print)\b)"
    r"|^(Azure ML Inferencing HTTP server|Server Settings|Server Routes|-{3,}$|Initializing logger$|Extra keys = )"
    r"|^(Entry Script Name|Model Directory|Config File|Worker Count|Worker Timeout.*|Server Port|Health Port"
    r"|Application Insights.*|Inferencing HTTP server version|CORS for.*|Create dedicated endpoint.*"
    r"|Liveness Probe|Score|Swagger): "
)
_LEVEL_OF_PRINT = re.compile(r"^\S+ \S+ [A-Z] \[\d+\] azmlinfsrv\.print - ")


@dataclass
class _Frame:
    """A call in a traceback, with the lines that show its code."""

    lines: list[str]
    path: str
    place: str

    @property
    def is_installed(self) -> bool:
        return _INSTALLED.search(self.path) is not None


@dataclass
class _Traceback:
    frames: list[_Frame] = field(default_factory=list)
    raised: list[str] = field(default_factory=list)  #: the exception; its text may have several lines

    @property
    def is_of_the_server(self) -> bool:
        return bool(self.raised) and _OF_THE_SERVER.match(self.raised[0]) is not None

    def chosen(self) -> Iterator[str]:
        """The calls in the user's code and the call that raised, without the packages in between."""
        yield "Traceback (most recent call last):"
        for frame in self.frames:
            if not frame.is_installed or frame is self.frames[-1]:
                yield from frame.lines
        yield from self.raised


def read(workspace: Workspace, endpoint: str, deployment: str) -> str:
    """The end of the log without secrets, or why it cannot be read. The failure is reported either way."""
    try:
        # Redact before lines are dropped: a dropped line may be what identifies a secret.
        return clean(workspace.logs(endpoint, deployment, READ_LINES))
    except (ForbiddenError, RejectedError) as fault:
        return str(fault)


def cause(log: str) -> str | None:
    """The last exception that the scoring code raised; None without a traceback."""
    found = _last(log)
    return found.raised[0].strip()[:LONGEST_LINE] if found else None


def place(log: str) -> str | None:
    """Where the user's code raised it: `score.py, line 5, in run`; None if it was raised elsewhere."""
    found = _last(log)
    own = [frame for frame in found.frames if not frame.is_installed] if found else []
    return own[-1].place if own else None


def cause_and_place(log: str) -> str | None:
    """The cause and its place in one line."""
    found, where = cause(log), place(log)
    return f"{found} ({where})" if found and where else found


def chosen(log: str) -> list[str]:
    """The last lines that the user's code wrote, or the server's own lines if there are no others."""
    lines = [line for line in _own_lines(log) if line.strip()] or [line for line in log.splitlines() if line.strip()]
    return [line.rstrip()[:LONGEST_LINE] for line in lines][-SHOWN_LINES:]


def _last(log: str) -> _Traceback | None:
    found = [part for part in _parts(log) if isinstance(part, _Traceback) and part.raised]
    own = [part for part in found if not part.is_of_the_server]
    return next(reversed(own or found), None)


def _own_lines(log: str) -> Iterator[str]:
    parts = list(_parts(log))
    only_of_the_server = all(part.is_of_the_server for part in parts if isinstance(part, _Traceback))
    for part, following in zip_longest(parts, parts[1:]):
        if isinstance(part, _Traceback):
            if only_of_the_server or not part.is_of_the_server:
                yield from part.chosen()
        elif _CHAINED.match(part) and isinstance(following, _Traceback) and following.is_of_the_server:
            continue  # it introduces an exception that is left out
        elif not _NOISE.match(part):
            yield _LEVEL_OF_PRINT.sub("", part)


def _parts(log: str) -> Iterator[str | _Traceback]:
    """The log as lines and tracebacks, in order, without empty lines."""
    under_way: _Traceback | None = None
    for line in log.splitlines():
        if _TRACEBACK.search(line):
            if under_way:
                yield under_way
            under_way = _Traceback()
        elif not line.strip() or (under_way and not under_way.raised and _belongs(under_way, line)):
            continue
        else:
            if under_way:
                yield under_way
            under_way = None
            yield line
    if under_way:
        yield under_way


def _belongs(traceback: _Traceback, line: str) -> bool:
    """Whether the line belongs to the traceback. If so, it is added to it."""
    if frame := _FRAME.match(line):
        file = re.split(r"[\\/]", frame["path"])[-1]
        where = f"{file}, line {frame['line']}, in {frame['function'].strip()}"
        traceback.frames.append(_Frame([line], frame["path"], where))
    elif line[0].isspace() and traceback.frames:
        traceback.frames[-1].lines.append(line)
    elif _RAISED.match(line):
        traceback.raised.append(line)
    else:
        return False
    return True
