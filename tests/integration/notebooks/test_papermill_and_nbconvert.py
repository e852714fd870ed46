"""Lua notebooks under the programs around them: papermill's parameters, nbconvert's pages and scripts, highlighting."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from nbconvert.filters.highlight import Highlight2HTML
from pygments.lexers import find_lexer_class_for_filename, get_lexer_for_mimetype

from llmspell_kernel.scripting.engines import LUA
from tests.support.jupyter import Frontend

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "parameters.ipynb"
PARAMETERS: dict[str, Any] = {
    "rounds": 3,
    "title": 'grün "✓" \\ line',
    "more": {"big": 12345678901234567890123, "half": 0.5, "list": [1, None, {"x": []}], "yes": True},
}


def _runs(frontend: Frontend, directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A program of this environment, run in a directory where Jupyter finds our kernelspec."""
    return subprocess.run(
        [str(Path(sys.executable).with_name(words[0])), *words[1:]],
        cwd=directory,
        env={
            **frontend.environment,
            "JUPYTER_PATH": str(frontend.data_directory),
            "IPYTHONDIR": str(directory / "ipython"),
            "HOME": str(directory),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


@pytest.fixture(scope="module")
def ran(frontend: Frontend, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which papermill has run the notebook with parameters of every kind: `out.ipynb`."""
    directory = tmp_path_factory.mktemp("papermill")
    shutil.copy(NOTEBOOK, directory / "in.ipynb")
    (directory / "parameters.yaml").write_text(
        yaml.safe_dump(PARAMETERS, allow_unicode=True, sort_keys=False), encoding="utf-8"
    )
    words = ("-f", "parameters.yaml", "-p", "rounds", "4", "-p", "nothing such", "1")
    done = _runs(frontend, directory, "papermill", *words, "in.ipynb", "out.ipynb")
    assert done.returncode == 0, done.stderr
    assert "Passed unknown parameter: nothing such" in done.stderr
    assert "unknown parameter: rounds" not in done.stderr
    return directory


def _cells(path: Path) -> Any:
    return nbformat.read(path, as_version=4).cells  # type: ignore[no-untyped-call]


def test_papermill_gives_a_lua_notebook_its_parameters(ran: Path) -> None:
    _title, _given, injected, printed, more, types = _cells(ran / "out.ipynb")
    assert injected.metadata.tags == ["injected-parameters"]
    assert injected.source.splitlines()[:2] == ["-- Parameters", "rounds = 4"]
    said = "".join(output.text for output in printed.outputs)
    assert said.splitlines() == [f"{PARAMETERS['title']} {n}" for n in (1, 2, 3, 4)]
    (shown,) = more.outputs
    assert json.loads(json.loads(shown.data["text/plain"])) == PARAMETERS["more"]
    assert "integer" in types.outputs[0].data["text/plain"]


def test_papermill_lists_the_parameters_of_a_lua_notebook(frontend: Frontend, ran: Path) -> None:
    done = _runs(frontend, ran, "papermill", "--help-notebook", "in.ipynb")
    assert re.search(r"rounds: number \(default 2\) +how many$", done.stdout, re.MULTILINE), done.stdout + done.stderr
    assert "title: string (default " in done.stdout


def test_a_failed_cell_ends_papermill_with_the_cells_error(frontend: Frontend, ran: Path) -> None:
    done = _runs(frontend, ran, "papermill", "-r", "rounds", "many", "in.ipynb", "failed.ipynb")
    assert done.returncode == 1
    assert "got string" in done.stderr
    assert "In[3]:4: in main chunk" in done.stderr
    assert "An Exception was encountered" in (ran / "failed.ipynb").read_text(encoding="utf-8")


def test_nbconvert_executes_into_a_page_whose_lua_is_coloured(frontend: Frontend, ran: Path) -> None:
    done = _runs(frontend, ran, "jupyter-nbconvert", "--execute", "--to", "html", "out.ipynb")
    assert done.returncode == 0, done.stderr
    page = (ran / "out.html").read_text(encoding="utf-8")
    assert '<span class="kd">local</span>' in page
    assert '<span class="c1">-- how many</span>' in page
    assert "line 3\n" in page


def test_nbconvert_writes_markdown_with_lua_blocks_and_a_script(frontend: Frontend, ran: Path) -> None:
    done = _runs(frontend, ran, "jupyter-nbconvert", "--to", "markdown", "out.ipynb")
    assert done.returncode == 0, done.stderr
    text = (ran / "out.md").read_text(encoding="utf-8")
    assert "```lua\n-- Parameters\nrounds = 4\n" in text
    assert 'grün "✓" \\ line 4\n' in text
    done = _runs(frontend, ran, "jupyter-nbconvert", "--to", "script", "out.ipynb")
    assert done.returncode == 0, done.stderr
    script = (ran / "out.lua").read_text(encoding="utf-8")
    assert "\nrounds = 4\n" in script
    done = _runs(frontend, ran, "llmspell", "--embedded", "run", "out.lua")
    assert (done.returncode, done.stdout.count("✓")) == (0, 4), done.stdout + done.stderr


def test_a_notebook_that_nothing_has_run_is_a_lua_script_once_it_says_its_language(
    frontend: Frontend, tmp_path: Path
) -> None:
    shutil.copy(NOTEBOOK, tmp_path / "new.ipynb")
    told = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    told["metadata"]["language_info"] = {"name": "lua", "file_extension": ".lua", "pygments_lexer": "lua"}
    (tmp_path / "told.ipynb").write_text(json.dumps(told), encoding="utf-8")
    done = _runs(frontend, tmp_path, "jupyter-nbconvert", "--to", "script", "new.ipynb", "told.ipynb")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.glob("*.[tl][xu]*")} == {"new.txt", "told.lua"}
    done = _runs(frontend, tmp_path, "jupyter-nbconvert", "--to", "notebook", "--execute", "--inplace", "new.ipynb")
    assert done.returncode == 0, done.stderr
    done = _runs(frontend, tmp_path, "jupyter-nbconvert", "--to", "script", "new.ipynb")
    assert (tmp_path / "new.lua").exists(), done.stderr


def test_the_language_is_named_as_pygments_knows_it() -> None:
    info = LUA.language_info
    assert "<span" in Highlight2HTML(pygments_lexer=info["pygments_lexer"])("local x = 1 -- one")
    by_type = get_lexer_for_mimetype(info["mimetype"])
    by_file = find_lexer_class_for_filename(f"x{info['file_extension']}")
    assert (by_type.name, by_file.name) == ("Lua", "Lua")


def test_the_language_is_named_as_jupyterlabs_codemirror_knows_it() -> None:
    if find_spec("jupyterlab") is None:
        pytest.skip("JupyterLab is not installed: pip install '.[jupyter]'")
    static = Path(sys.prefix) / "share" / "jupyter" / "lab" / "static"
    known = [
        found.groups()
        for path in static.glob("jlab_core.*.js")
        for found in re.finditer(
            r'\{name:"([^"]+)",displayName:[^,]+,(?:alias:\[[^\]]*\],)?mime:"([^"]+)",extensions:\["([^"]+)"',
            path.read_text(),
        )
    ]
    info = LUA.language_info
    assert len(known) > 50
    assert ("Lua", info["mimetype"], info["file_extension"].removeprefix(".")) in known
    assert info["codemirror_mode"] == info["name"] == "Lua".lower()
