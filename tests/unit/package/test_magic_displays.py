"""What a cell of the kernel publishes, shown by a Python notebook's own publisher."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from IPython.core.displaypub import CapturingDisplayPublisher

from llmspell.magic import CellFailed, _Shown
from llmspell_protocol.client.events import Output
from llmspell_protocol.errors import NotFound


@pytest.fixture
def publisher() -> CapturingDisplayPublisher:
    return CapturingDisplayPublisher()


@pytest.fixture
def shown(publisher: CapturingDisplayPublisher) -> _Shown:
    errors: list[str] = []
    return _Shown(SimpleNamespace(display_pub=publisher), errors.extend)


def _output(msg_type: str, **content: Any) -> Output:
    return Output(msg_type, content, {})


def test_displays_keep_their_data_their_id_and_their_updates(
    publisher: CapturingDisplayPublisher, shown: _Shown
) -> None:
    html = {"text/html": "<b>1</b>", "text/plain": "1"}
    transient = {"display_id": "bar"}
    shown(_output("display_data", data=html, metadata={"text/html": {"isolated": True}}, transient=transient))
    shown(_output("update_display_data", data={"text/plain": "2"}, metadata={}, transient=transient))
    shown(_output("execute_result", data={"text/plain": "42"}, metadata={}, execution_count=3))
    first, second, value = publisher.outputs
    assert (first["data"], first["metadata"]) == (html, {"text/html": {"isolated": True}})
    assert (first["transient"], first["update"], second["transient"], second["update"]) == (
        transient,
        False,
        transient,
        True,
    )
    assert value["data"] == {"text/plain": "42"}


def test_a_widget_of_lua_is_its_text(publisher: CapturingDisplayPublisher, shown: _Shown) -> None:
    widget = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "3 of 9"}
    shown(_output("display_data", data=widget, metadata={}))
    assert publisher.outputs[0]["data"] == {"text/plain": "3 of 9"}


def test_streams_go_where_they_belong_and_other_messages_nowhere(
    publisher: CapturingDisplayPublisher, shown: _Shown, capsys: pytest.CaptureFixture[str]
) -> None:
    shown(_output("stream", name="stdout", text="out"))
    shown(_output("stream", name="stderr", text="err"))
    shown(_output("execute_input", code="x", execution_count=1))
    shown(_output("comm_open", comm_id="1", target_name="t", data={}))
    assert capsys.readouterr() == ("out", "err")
    assert publisher.outputs == []


def test_a_failure_that_published_nothing_is_shown_with_its_hint() -> None:
    failed = CellFailed(NotFound("there is no kernel 'x'", hint="start one"), [])
    assert failed._render_traceback_() == ["not_found: there is no kernel 'x'", "  hint: start one"]
    assert (failed.message, failed.code) == ("there is no kernel 'x'", "not_found")
