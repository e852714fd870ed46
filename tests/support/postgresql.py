"""A PostgreSQL server of the test's own: a new cluster in a temporary directory, on a free port of this machine."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

USER, PASSWORD = "tester", "not a secret"


class PostgreSQL(NamedTuple):
    """Where a server listens."""

    port: int

    def url(self, *, password: str = PASSWORD, host: str = "127.0.0.1", database: str = "postgres") -> str:
        """Its address, as tools take it."""
        return f"postgresql://{USER}:{password.replace(' ', '%20')}@{host}:{self.port}/{database}"


def programs() -> Path | None:
    """Where this machine has PostgreSQL's programs; None where it has none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(os.path.realpath(on_path)).parent if on_path else None


@contextmanager
def server(where: Path) -> Iterator[PostgreSQL]:
    """A server that runs for as long as the block does, as another user where this one is root."""
    directory = Path(tempfile.mkdtemp(prefix="llmspell-postgresql-", dir="/tmp"))
    user = "nobody" if os.geteuid() == 0 else None
    if user is not None:
        os.chown(directory, pwd.getpwnam(user).pw_uid, -1)
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}

    def run(*command: str) -> None:
        # What the server writes goes to its log: a pipe would be held open by it.
        with open(directory.parent / f"{directory.name}.log", "ab") as log:
            done = subprocess.run(
                [str(where / command[0]), *command[1:]], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                user=user, cwd=directory, env=environment, timeout=120, check=False,
            )  # fmt: skip
        assert done.returncode == 0, Path(log.name).read_text()

    port = _free_port()
    secret = directory / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    data = str(directory / "data")
    try:
        run("initdb", "-D", data, "-U", USER, "--auth=scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--no-sync")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        run("pg_ctl", "-D", data, "-w", "-t", "60", "-l", str(directory / "server.log"), "-o", options, "start")
        try:
            yield PostgreSQL(port)
        finally:
            run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(directory)
        (directory.parent / f"{directory.name}.log").unlink()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
