"""The notebooks of `examples/`, run from top to bottom by nbclient with the small real model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.support.reader import Reader
from tests.support.snippets import ROOT


def _run(name: str, reader: Reader, directory: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The code cells of a notebook that has run in a Python kernel, where the reader's kernel is found."""
    monkeypatch.setenv("LLMSPELL_HOME", str(reader.home))
    monkeypatch.setenv("IPYTHONDIR", str(directory / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(directory / "runtime"))
    notebook = nbformat.read(ROOT / "examples" / name, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)
    NotebookClient(
        notebook, timeout=150, kernel_name="python3", resources={"metadata": {"path": str(directory)}}
    ).execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _value(cell: Any) -> str:
    (result,) = [output for output in cell.outputs if output.output_type == "execute_result"]
    return str(result.data["text/plain"])


def _printed(cell: Any) -> str:
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def test_the_notebook_of_the_python_client_works(
    neighbour: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = _run("python_client.ipynb", neighbour, tmp_path, monkeypatch)
    connected, answer, figures, streamed, person, nearest, tool, script, failure, _closed = cells
    assert "<Kernel " in _value(connected)
    assert answer.outputs[-1].data["text/markdown"].strip()
    assert _value(figures).endswith(", True, True)")
    assert _printed(streamed).strip()
    assert "'year': " in _value(person)
    assert _value(nearest) in ("'a kitten naps'", "'the stock market fell'")
    assert _value(tool) == "5"
    assert _value(script) == "('hello\\tAda\\n', {'sum': 42})"
    assert _printed(failure).startswith("model_not_found - ")


def test_the_notebook_with_lua_cells_works(neighbour: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = _run("lua_in_python.ipynb", neighbour, tmp_path, monkeypatch)
    _loaded, counted, _kept, brought, line, asked, length, failed = cells
    assert _printed(counted) == "counted\n"
    assert _value(brought) == "[('one', 1), ('three', 1), ('two', 2)]"
    assert line.outputs[0].data["text/plain"] == "42"
    assert _printed(asked).strip()
    assert _value(length) == "True"
    assert ":3: broken on purpose" in failed.outputs[-1].evalue
    assert "magic.py" not in "\n".join(failed.outputs[-1].traceback)


def test_every_notebook_of_the_examples_is_run_and_kept_without_output() -> None:
    names = {path.name for path in (ROOT / "examples").glob("*.ipynb")}
    assert names == {"python_client.ipynb", "lua_in_python.ipynb"}
    for name in names:
        notebook = nbformat.read(ROOT / "examples" / name, as_version=4)  # type: ignore[no-untyped-call]
        assert not [cell for cell in notebook.cells if cell.get("outputs") or cell.get("execution_count")]
