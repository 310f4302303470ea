"""The program between the local cloud and each of its child processes. It makes sure that no process is left behind.

It runs one command in its own process group and reads orders from standard input: `stop SECONDS` and `kill`. When that
input ends, because its owner closed it or died in any way, the command is stopped too. Everything that the command
started ends with it. Standard output tells the owner `started PID` or `failed REASON`, then `ended CODE`.

Uses only the standard library, and runs with `python -I -S`: it must start in milliseconds.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from io import FileIO
from pathlib import Path

CONTROL, REPORT = 0, 1
ORPHANED_GRACE_SECONDS = 3.0
LAST_OUTPUT_SECONDS = 1.0
SWEEP_SECONDS = 5.0
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class RotatingLog:
    """Appends to `path`; past `limit` bytes that file becomes `path` + `.1` and a new one begins."""

    def __init__(self, path: Path, limit: int) -> None:
        self._path = path
        self._limit = limit
        self._file: FileIO | None = None
        self.write(b"")

    def write(self, data: bytes) -> None:
        # A full disk or a read-only folder loses output; it must not end the command. The next write tries again.
        with contextlib.suppress(OSError):
            if self._file is None:
                self._file = FileIO(self._path, "a")
            if self._file.tell() + len(data) > self._limit:
                with contextlib.suppress(FileNotFoundError):  # the log was moved, but the new one could not be created
                    os.replace(self._path, f"{self._path}.1")
                full, self._file = self._file, FileIO(self._path, "a")
                full.close()
            self._file.write(data)


def report(line: str) -> None:
    # The owner may be dead already.
    with contextlib.suppress(OSError):
        os.write(REPORT, f"{line}\n".encode())


def adopt_orphans() -> None:
    """Adopts descendants whose own parent ends, daemons included (Linux; elsewhere the group must do)."""
    if sys.platform == "linux":
        set_child_subreaper = 36
        ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0)


def follow_parent() -> None:
    """Ends the command when the leash itself is killed (Linux; elsewhere the owner does that, if it is alive)."""
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, int(signal.SIGKILL), 0, 0, 0)


def launch(command: list[str], folder: str) -> tuple[int, int]:
    """Starts the command and returns its pid and the reading end of its output; OSError when it cannot be run."""
    output, output_end = os.pipe()
    trouble, trouble_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        become(command, folder, output_end, trouble_end)
    os.close(output_end)
    os.close(trouble_end)
    reason = os.read(trouble, 1000).decode()
    os.close(trouble)
    if reason:
        os.waitpid(pid, 0)
        raise OSError(reason)
    return pid, output


def become(command: list[str], folder: str, output_end: int, trouble_end: int) -> None:
    try:
        follow_parent()
        os.setpgid(0, 0)
        os.chdir(folder)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output_end, 1)
        os.dup2(output_end, 2)
        # Python ignores SIGPIPE, and the command would inherit that.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.execvp(command[0], command)
    except OSError as problem:
        os.write(trouble_end, str(problem).encode())
    finally:
        os._exit(127)


def parents() -> dict[int, int]:
    """The parent of every process on this machine."""
    if not os.path.isdir("/proc/self"):
        with subprocess.Popen(["ps", "-A", "-o", "pid=,ppid="], stdout=subprocess.PIPE, text=True) as lister:
            pairs = [line.split() for line in lister.communicate()[0].splitlines()]
        return {int(pid): int(parent) for pid, parent in pairs if int(pid) != lister.pid}
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        # A process may end while the table is read.
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
            # The program's name, in brackets, may hold spaces; the parent is the second word after it.
            found[int(name)] = int(file.read().rpartition(")")[2].split()[1])
    return found


def descendants() -> set[int]:
    above = parents()
    family = {os.getpid()}
    while born := {pid for pid, parent in above.items() if parent in family and pid not in family}:
        family |= born
    return family - {os.getpid()}


def kill_all(group: int) -> None:
    for target in (-group, *descendants()):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(target, signal.SIGKILL)


def reap(wanted: int) -> int | None:
    """Collects every ended child. Returns the wanted one's exit code if it is among them; negative for a signal."""
    code = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == wanted:
                code = os.waitstatus_to_exitcode(status)
    return code


class Leash:
    """Holds one running command until it has ended."""

    def __init__(self, pid: int, output: int, log: RotatingLog) -> None:
        self._pid = pid
        self._output = output
        self._log = log
        self._kill_at: float | None = None
        self._orders = b""
        self._signals = wakeup_pipe()
        self._watched = [CONTROL, output, self._signals]

    def hold(self) -> int:
        code = None
        while code is None:
            self._listen()
            if self._kill_at is not None and time.monotonic() >= self._kill_at:
                kill_all(self._pid)
                self._kill_at = time.monotonic() + 1
            code = reap(self._pid)
        self._sweep()
        return code

    def _listen(self) -> None:
        patience = None if self._kill_at is None else max(0.0, self._kill_at - time.monotonic())
        ready = select.select(self._watched, [], [], patience)[0]
        if self._signals in ready and set(os.read(self._signals, 100)) & set(STOP_SIGNALS):
            self._stop(ORPHANED_GRACE_SECONDS)
        if self._output in ready:
            self._copy_output()
        if CONTROL in ready:
            self._obey(os.read(CONTROL, 1000))

    def _obey(self, data: bytes) -> None:
        if not data:
            self._watched.remove(CONTROL)
            self._stop(ORPHANED_GRACE_SECONDS)
        *lines, self._orders = (self._orders + data).split(b"\n")
        for line in lines:
            word, _, seconds = line.decode().partition(" ")
            if word == "stop":
                self._stop(float(seconds))
            elif word == "kill":
                os.kill(self._pid, signal.SIGKILL)

    def _stop(self, grace_seconds: float) -> None:
        # Only its own group: the command itself must end other groups properly, such as its own leashes.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, signal.SIGTERM)
        self._kill_at = min(self._kill_at or float("inf"), time.monotonic() + grace_seconds)

    def _copy_output(self) -> None:
        data = os.read(self._output, 65536)
        if data:
            self._log.write(data)
        else:
            self._watched.remove(self._output)

    def _sweep(self) -> None:
        deadline = time.monotonic() + SWEEP_SECONDS
        kill_all(self._pid)
        while descendants() and time.monotonic() < deadline:
            time.sleep(0.01)
            reap(self._pid)
            kill_all(self._pid)
        deadline = time.monotonic() + LAST_OUTPUT_SECONDS
        while self._output in self._watched and time.monotonic() < deadline:
            if select.select([self._output], [], [], LAST_OUTPUT_SECONDS)[0]:
                self._copy_output()


def wakeup_pipe() -> int:
    """A descriptor from which the number of every signal received can be read."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (*STOP_SIGNALS, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    return reading


def main(log: str, limit: str, folder: str, *command: str) -> None:
    os.umask(0o077)  # the log and the command's files may hold secrets
    rotating_log = RotatingLog(Path(log), int(limit))
    try:
        adopt_orphans()
        pid, output = launch(list(command), folder)
    except OSError as problem:
        report(f"failed {problem}")
        return
    leash = Leash(pid, output, rotating_log)
    report(f"started {pid}")
    report(f"ended {leash.hold()}")


if __name__ == "__main__":
    main(*sys.argv[1:])
