"""JupyterLab's image beside the kernel's, as compose starts them: volumes that both have, and no port of the kernel."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from tests.support.image_roots import Image, Images, lacking
from tests.support.notebook_server import address_of, cell_over_a_server

pytestmark = [
    pytest.mark.images,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(lacking() is not None, reason=lacking() or ""),
]


def test_jupyterlab_of_one_container_runs_cells_in_the_kernel_of_another(
    images: Images, image: Image, volumes: dict[str, Path]
) -> None:
    lab = images.image("lab")
    listed = lab.run("jupyter", "kernelspec", "list", entrypoint=(), volumes=volumes)
    assert "llmspell " in listed.stdout, listed.stderr
    # The port of the image may be taken on this machine.
    command = ["--port=0" if word.startswith("--port=") else word for word in lab.configuration.command]
    environment = {"JUPYTER_TOKEN": "abc", "LLMSPELL_CONNECT": "main"}
    with image.kernel(volumes):
        with lab.running(command, volumes, environment, stderr=subprocess.PIPE) as (server, _process):
            code = "shared = 6 * 7 print(Agent.builder():model('mock/a'):build():complete('hello'))"
            name, published = asyncio.run(cell_over_a_server(address_of(server), "abc", code))
        assert name == "llmspell"
        assert "[mock/a] hello\n" in [one["content"].get("text") for one in published]
        program = "from llmspell import connect\nwith connect() as k: print(k.run_cell('return shared').result)"
        done = subprocess.run(
            lab.argv(["python", "-c", program], volumes, environment),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.stdout == "42\n", done.stderr


def test_a_new_lua_notebook_of_jupyterlab_shares_the_kernel_of_the_other_container(
    images: Images, image: Image, volumes: dict[str, Path]
) -> None:
    lab = images.image("lab")
    command = ["--port=0" if word.startswith("--port=") else word for word in lab.configuration.command]
    alone = {"JUPYTER_TOKEN": "abc"}
    with image.kernel(volumes), lab.running(command, volumes, alone, stderr=subprocess.PIPE) as (server, _process):
        code = "State.set('global', 'seen', 'by the notebook') own = 1 print('kept')"
        _name, published = asyncio.run(cell_over_a_server(address_of(server), "abc", code, new="llmspell"))
        assert "kept\n" in [one["content"].get("text") for one in published]
        # State is kept in memory: only the same kernel knows it. Variables are the notebook's own.
        asked = "return tostring(State.get('global', 'seen')) .. ' ' .. tostring(own)"
        seen = image.run("exec", asked, volumes=volumes)
        assert seen.stdout == "by the notebook nil\n", seen.stderr
