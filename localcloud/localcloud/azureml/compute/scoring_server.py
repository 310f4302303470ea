"""Becomes Microsoft's scoring server, listening on 127.0.0.1 alone.

`azmlinfsrv` always binds 0.0.0.0, but the gunicorn in it prefers a socket that it was started with, in the manner of
systemd's socket activation. So the socket is bound here, at a port that is free, the port is written to a file for
whoever waits for it, and the server, unchanged, takes this process over.
"""

import os
import socket
import sys
from pathlib import Path

#: Where a program that is activated by a socket finds it.
FIRST_SOCKET = 3


def main(port_file: str, *command: str) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    os.dup2(server.fileno(), FIRST_SOCKET)
    os.set_inheritable(FIRST_SOCKET, True)
    unfinished = Path(f"{port_file}.new")
    unfinished.write_text(str(port))
    unfinished.replace(port_file)
    os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
    os.execv(command[0], [*command, "--port", str(port)])


if __name__ == "__main__":
    main(*sys.argv[1:])
