"""Servers that others have written: mcp-server-time and mcp-server-fetch of PyPI, server-filesystem of npm."""

from __future__ import annotations

import http.server
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mcp_bench import McpBench, tried

pytestmark = pytest.mark.slow

_PYTHON_SERVERS = ("mcp-server-time==2026.10.19", "mcp-server-fetch==2026.10.24")
_NODE_SERVER = "@modelcontextprotocol/server-filesystem"


def _install(*command: str, cwd: Path | None = None) -> None:
    """Installs, or skips the test with the last that was said."""
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=150)
    except (OSError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"can't be installed here: {error}")
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        pytest.skip(f"can't be installed here: {said[-1] if said else done.returncode}")


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the programs of the servers of PyPI."""
    place = tmp_path_factory.mktemp("servers")
    _install(sys.executable, "-m", "venv", str(place))
    _install(str(place / "bin" / "pip"), "install", "-q", "--disable-pip-version-check", *_PYTHON_SERVERS)
    return place / "bin"


@pytest.fixture
def page() -> Iterator[str]:
    """The URL of a page on this machine."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"<html><body><h1>Tide tables</h1><p>High water at noon.</p></body></html>"
            self.send_response(200 if self.path == "/page" else 404)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/page"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_time_server_of_pypi_tells_and_converts_times(programs: Path, tmp_path: Path) -> None:
    table = f'[mcp.servers.time]\ncommand = "{programs}/mcp-server-time"\nargs = ["--local-timezone", "UTC"]\n'

    async def scene(bench: McpBench) -> None:
        assert {"time/get_current_time", "time/convert_time"} <= {*await bench.names()}
        assert bench.tools.problems == ()
        now = await bench.call("time/get_current_time", timezone="Europe/Rome")
        assert now.success
        assert '"timezone": "Europe/Rome"' in now.text
        converted = await bench.call(
            "time/convert_time", source_timezone="UTC", time="12:00", target_timezone="Asia/Tokyo"
        )
        assert "T21:00:00+09:00" in converted.text
        refused = await bench.call("time/get_current_time", timezone="Nowhere/Land")
        assert not refused.success
        assert refused.error is not None
        assert "Nowhere/Land" in refused.error.message

    tried(table, tmp_path, scene)


def test_the_fetch_server_of_pypi_reads_a_page(programs: Path, tmp_path: Path, page: str) -> None:
    args = '["--ignore-robots-txt", "--allow-private-ips"]'
    # Where it finds npm, it installs a library at its first call, and fails where no registry can be reached.
    env = f'{{ PATH = "{programs}" }}'
    table = f'[mcp.servers.fetch]\ncommand = "{programs}/mcp-server-fetch"\nargs = {args}\nenv = {env}\n'

    async def scene(bench: McpBench) -> None:
        assert await bench.names() == ["fetch/fetch"]
        reply = await bench.call("fetch/fetch", url=page)
        assert reply.success, reply.text
        assert "High water at noon." in reply.text

    tried(table, tmp_path, scene)


def test_the_filesystem_server_of_npm_stays_in_its_folder(tmp_path: Path) -> None:
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("there is no Node.js here")
    place, folder = tmp_path / "npm", tmp_path / "folder"
    place.mkdir()
    folder.mkdir()
    (folder / "note.txt").write_text("remember the milk")
    (tmp_path / "other.txt").write_text("not this")
    _install(npm, "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(place), _NODE_SERVER)
    table = f'[mcp.servers.files]\ncommand = "{place}/node_modules/.bin/mcp-server-filesystem"\nargs = ["{folder}"]\n'

    async def scene(bench: McpBench) -> None:
        assert "files/read_text_file" in await bench.names()
        read = await bench.call("files/read_text_file", path=str(folder / "note.txt"))
        assert "remember the milk" in read.text
        outside = await bench.call("files/read_text_file", path=str(tmp_path / "other.txt"))
        assert not outside.success
        assert outside.error is not None
        assert "Access denied" in outside.error.message

    tried(table, tmp_path, scene)
