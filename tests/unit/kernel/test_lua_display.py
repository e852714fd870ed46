"""What values look like beside their text: forms, objects that show themselves, tables of rows, displays with ids."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest

from llmspell_kernel.scripting.comms import MOST_OPEN
from llmspell_kernel.scripting.lua.host import MAX_SHOWN_BYTES
from tests.support.lua_kernel import LuaBench

PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + (640).to_bytes(4, "big") + (480).to_bytes(4, "big") + b"rest"


@pytest.fixture(scope="module")
def shared() -> LuaBench:
    return LuaBench()


@pytest.fixture
def bench(shared: LuaBench) -> LuaBench:
    shared.kernel.shown.clear()
    shared.kernel.output = shared.kernel.errors = ""
    return shared


def shown(bench: LuaBench, code: str) -> dict[str, Any]:
    """The content of the one display that the code makes."""
    bench.run(code)
    ((kind, content, buffers),) = bench.kernel.shown
    assert (kind, buffers) == ("display_data", [])
    return content


def value(bench: LuaBench, code: str) -> dict[str, Any] | None:
    """The forms of a cell's value."""
    return bench.sandbox.execute(code, "cell", shows_value=True, is_rich=True).bundle


@pytest.mark.parametrize(
    ("code", "data"),
    [
        ("'hi'", {"text/plain": "hi"}),
        ("42", {"text/plain": "42"}),
        ("nil", {"text/plain": "nil"}),
        ("{a = 1}", {"text/plain": "{a = 1}"}),
        ("{html = '<b>x</b>'}", {"text/html": "<b>x</b>", "text/plain": "x"}),
        ("{html = '<p>a &amp; b</p><p>c</p>'}", {"text/html": "<p>a &amp; b</p><p>c</p>", "text/plain": "a & b\nc"}),
        ("{html = '<hr>'}", {"text/html": "<hr>", "text/plain": "<html>"}),
        ("{html = '<b>x</b>', text = 'y'}", {"text/html": "<b>x</b>", "text/plain": "y"}),
        ("{markdown = '# x'}", {"text/markdown": "# x", "text/plain": "# x"}),
        ("{latex = '$x$'}", {"text/latex": "$x$", "text/plain": "$x$"}),
        ("{svg = '<svg/>'}", {"image/svg+xml": "<svg/>", "text/plain": "<svg, 6 B>"}),
        ("{json = {1, {a = true}}}", {"application/json": [1, {"a": True}], "text/plain": "{1, {a = true}}"}),
        ("{json = JSON.array()}", {"application/json": [], "text/plain": "{}"}),
        (
            "{vega_lite = {mark = 'bar'}}",
            {"application/vnd.vegalite.v5+json": {"mark": "bar"}, "text/plain": "<vega-lite>"},
        ),
        ("{['text/x-own'] = 'z'}", {"text/x-own": "z", "text/plain": "<text/x-own, 1 B>"}),
    ],
)
def test_a_value_is_shown_in_the_forms_that_it_names(bench: LuaBench, code: str, data: dict[str, Any]) -> None:
    content = shown(bench, f"display({code})")
    assert content["data"] == data
    assert content["transient"] == {}


def test_an_image_travels_in_base64_with_its_size(bench: LuaBench) -> None:
    quoted = "".join(f"\\x{byte:02x}" for byte in PNG)
    content = shown(bench, f'display({{png = "{quoted}"}}, {{width = 320, height = 240}})')
    assert base64.b64decode(content["data"]["image/png"]) == PNG
    assert content["data"]["text/plain"] == f"<png 640×480, {len(PNG)} B>"
    assert content["metadata"] == {"image/png": {"width": 320, "height": 240}}


def test_options_name_text_and_metadata(bench: LuaBench) -> None:
    content = shown(bench, "display({json = {1}}, {text = 'one', metadata = {json = {expanded = true}}})")
    assert content["data"]["text/plain"] == "one"
    assert content["metadata"] == {"application/json": {"expanded": True}}


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("display({html = {}})", "display: text/html has to be a string, got table"),
        ("display(1, {foo = 1})", "display has no option 'foo'"),
        ("display(1, 2)", "bad argument #2 to 'display' (table expected, got number)"),
        ("display(1, {id = {}})", "bad argument #2 to 'display' (string expected, got table)"),
        ("update_display()", "bad argument #1 to 'update_display' (string expected, got no value)"),
        ("display{html = '\\xff'}", "string is not UTF-8 text"),
        ("display{json = {print}}", "Unsupported Lua type"),
        (f"display(('x'):rep({MAX_SHOWN_BYTES + 1}))", "a display holds at most 16 MiB, got 16.0 MiB"),
    ],
)
def test_what_can_not_be_shown_is_an_error(bench: LuaBench, code: str, message: str) -> None:
    assert message in bench.failure(code).message
    assert bench.kernel.shown == []


def test_a_display_with_an_id_is_updated_by_its_handle_and_by_its_id(bench: LuaBench) -> None:
    bench.run(
        """
        local d = display("a", {id = true})
        d:update("b"):update({html = "<i>c</i>"})
        update_display(d.id, "d")
        update_display(d, "e")
        display("f", {id = "mine"})
        """
    )
    kinds = [kind for kind, _, _ in bench.kernel.shown]
    assert kinds == ["display_data", *["update_display_data"] * 4, "display_data"]
    ids = [content["transient"]["display_id"] for _, content, _ in bench.kernel.shown]
    assert len(set(ids[:5])) == 1
    assert re.fullmatch(r"[0-9a-f-]{36}", ids[0])
    assert ids[5] == "mine"
    assert [content["data"]["text/plain"] for _, content, _ in bench.kernel.shown] == ["a", "b", "c", "d", "e", "f"]


def test_a_handle_and_a_bar_as_a_cells_value_show_nothing(bench: LuaBench) -> None:
    for code in ("display(1, {id = true})", "Progress.new(3)"):
        assert bench.sandbox.execute(code, "cell", shows_value=True).text is None
    assert bench.value("return tostring(display(1, {id = 'x'}))") == "display x"


def test_clearing_says_whether_it_waits(bench: LuaBench) -> None:
    bench.run("clear_output() clear_output(true)")
    assert [(kind, content) for kind, content, _ in bench.kernel.shown] == [
        ("clear_output", {"wait": False}),
        ("clear_output", {"wait": True}),
    ]


# Objects that show themselves

THING = """
local meta = {
  __repr_html = function(self) return "<b>" .. self.n .. "</b>" end,
  __repr_markdown = function(self) return "**" .. self.n .. "**", {fold = true} end,
  __repr_json = function(self) return {n = self.n} end,
  __repr_png = function() return nil end,
  __tostring = function(self) return "thing " .. self.n end,
}
local thing = setmetatable({n = 7}, meta)
"""
FORMS = {
    "text/html": "<b>7</b>",
    "text/markdown": "**7**",
    "application/json": {"n": 7},
    "text/plain": "thing 7",
}


def test_an_object_shows_itself_by_its_metatable(bench: LuaBench) -> None:
    content = shown(bench, f"{THING} display(thing)")
    assert content["data"] == FORMS
    assert content["metadata"] == {"text/markdown": {"fold": True}}


def test_an_object_shows_itself_as_a_cells_value(bench: LuaBench) -> None:
    assert value(bench, f"{THING} return thing") == {"data": FORMS, "metadata": {"text/markdown": {"fold": True}}}


def test_an_object_may_give_all_of_its_forms_at_once(bench: LuaBench) -> None:
    code = "setmetatable({}, {__repr_bundle = function() return {html = '<p>', ['text/x-own'] = 'o', bad = 1} end})"
    assert value(bench, f"return {code}") == {
        "data": {"text/html": "<p>", "text/x-own": "o", "text/plain": "{}"},
        "metadata": {},
    }
    assert bench.kernel.errors == "warning: __repr_bundle: bad is no form\n"


def test_an_error_of_a_method_is_shown_and_the_other_forms_are_left(bench: LuaBench) -> None:
    code = """
    return setmetatable({}, {
      __repr_html = function() error("no HTML today") end,
      __repr_latex = function() return {} end,
      __repr_nonsense = function() end,
      __repr_markdown = function() return "*x*" end,
    })
    """
    assert value(bench, code) == {"data": {"text/markdown": "*x*", "text/plain": "{}"}, "metadata": {}}
    assert "warning: __repr_html: cell:3: no HTML today\n" in bench.kernel.errors
    assert "warning: __repr_latex: text/latex has to be a string, got table\n" in bench.kernel.errors
    assert "warning: __repr_nonsense is no form that can be shown\n" in bench.kernel.errors


def test_an_object_whose_methods_all_fail_is_shown_as_text(bench: LuaBench) -> None:
    code = "return setmetatable({1}, {__repr_html = function() error({code = 5}) end})"
    assert value(bench, code) is None
    assert bench.kernel.errors == "warning: __repr_html: {code = 5}\n"


def test_forms_that_are_no_text_or_too_much_leave_the_text_and_say_so(bench: LuaBench) -> None:
    for form, told in (("'\\xff'", "is not UTF-8 text"), (f"('x'):rep({MAX_SHOWN_BYTES + 1})", "16.0 MiB")):
        bench.kernel.errors = ""
        assert value(bench, f"return setmetatable({{}}, {{__repr_html = function() return {form} end}})") is None
        assert bench.kernel.errors.startswith("warning: the value is shown as text: ")
        assert told in bench.kernel.errors


def test_a_method_that_hangs_is_stopped_as_the_script_is(bench: LuaBench) -> None:
    from llmspell_kernel.scripting.lua.sandbox import ScriptFailure

    for code in ("return x", "display(x)"):
        bench.run("x = setmetatable({}, {__repr_html = function() while true do end end})")
        bench.kernel.looks_left = 20
        with pytest.raises(ScriptFailure) as failed:
            value(bench, code)
        assert failed.value.kind == "stopped"


# Tables of rows


def test_rows_that_are_maps_have_headings_and_escaped_cells(bench: LuaBench) -> None:
    content = shown(bench, "display{{name = 'a<b', n = 1}, {name = 'c', more = {1, 2}}}")
    html = content["data"]["text/html"]
    assert "<thead><tr><th>more</th><th>n</th><th>name</th></tr></thead>" in html
    assert "<tr><td></td><td>1</td><td>a&lt;b</td></tr>" in html
    assert "<tr><td>{1, 2}</td><td></td><td>c</td></tr>" in html
    assert content["data"]["text/plain"] == "more    n  name\n        1  a<b\n{1, 2}     c"


def test_rows_that_are_lists_have_no_headings_but_those_that_are_given(bench: LuaBench) -> None:
    content = shown(bench, "display{{1, 2}, {3, 4, 5}}")
    assert "<thead>" not in content["data"]["text/html"]
    assert "<tr><td>1</td><td>2</td><td></td></tr>" in content["data"]["text/html"]
    bench.kernel.shown.clear()
    content = shown(bench, "display({{name = 'a', n = 1, x = 0}}, {columns = {'n', 'name'}})")
    assert content["data"]["text/plain"] == "n  name\n1  a"


def test_a_large_table_says_how_much_more_there_is(bench: LuaBench) -> None:
    code = """
    local rows = {}
    for i = 1, 500 do
      rows[i] = {}
      for j = 1, 30 do rows[i]["c" .. (100 + j)] = i * j end
    end
    """
    data = shown(bench, f"{code} display(rows)")["data"]
    assert data["text/html"].count("<tr>") == 61
    assert "<th>… 10 more</th>" in data["text/html"]
    assert "<div>… 440 more rows</div>" in data["text/html"]
    assert data["text/plain"].endswith("… 10 more columns\n… 440 more rows")
    assert len(data["text/plain"].split("\n")) == 63


def test_a_long_cell_is_cut_and_says_so(bench: LuaBench) -> None:
    data = shown(bench, "display{{x = ('ä'):rep(1000)}}")["data"]
    assert f"<td>{'ä' * 200}…</td>" in data["text/html"]
    assert data["text/plain"] == f"x\n{'ä' * 39}…"


def test_a_table_of_rows_as_a_cells_value_has_its_text_beside_it(bench: LuaBench) -> None:
    bundle = value(bench, 'return JSON.parse(\'[{"a": 1}, {"a": null}]\')')
    assert bundle is not None
    assert bundle["data"]["text/plain"] == "{{a = 1}, {a = null}}"
    assert "<tr><td>1</td></tr>\n<tr><td>null</td></tr>" in bundle["data"]["text/html"]


@pytest.mark.parametrize(
    "code",
    ["{}", "{1, 2}", "{{}}", "{{1}, 2}", "{{1}, {a = 1}}", "{{1}, x = 1}", "{{1, a = 2}}", "{{[true] = 1}}", "Tool"],
)
def test_what_is_no_table_of_rows_is_text(bench: LuaBench, code: str) -> None:
    assert value(bench, f"return {code}") is None


# Progress


def test_progress_tells_the_kernel_how_far_it_is(bench: LuaBench) -> None:
    bench.run(
        """
        local p = Progress.new{total = 10, label = "reading", unit = "files"}
        p:update(4, "a.txt"):add():add(2):label("writing")
        p:done("all there")
        p:fail("too late")
        """
    )
    told = [content for kind, content, _ in bench.kernel.shown if kind == "progress"]
    assert [one["value"] for one in told] == [0, 4, 5, 7, 7, 10]
    assert [one.get("message") for one in told] == [None, *["a.txt"] * 4, "all there"]
    assert [one["label"] for one in told] == [*["reading"] * 4, *["writing"] * 2]
    assert [one["state"] for one in told] == [*["running"] * 5, "done"]
    assert {one["unit"] for one in told} == {"files"}
    assert len({one["id"] for one in told}) == 1


def test_a_loop_with_progress_gives_each_item(bench: LuaBench) -> None:
    items = bench.value("local got = {} for i, x in Progress.each({'a', 'b'}, 'l') do got[i] = x end return got")
    assert items == ["a", "b"]
    told = [(content["value"], content["state"]) for _, content, _ in bench.kernel.shown]
    assert told == [(0, "running"), (1, "running"), (2, "running"), (2, "done")]


@pytest.mark.parametrize("number", ["0/0", "math.huge", "-math.huge"])
@pytest.mark.parametrize(
    ("call", "named"),
    [
        ("Progress.new(N)", "Progress.new"),
        ("Progress.new{total = N}", "Progress.new"),
        ("Progress.new(10):update(N)", "progress:update"),
        ("Progress.new(10):add(N)", "progress:add"),
    ],
)
def test_progress_takes_finite_numbers_alone(bench: LuaBench, call: str, named: str, number: str) -> None:
    caught = bench.caught(call.replace("N", number))
    assert re.fullmatch(rf"bad argument #1 to '{named}' \(finite number expected, got -?(nan|inf)\)", caught), caught
    assert {content["value"] for _, content, _ in bench.kernel.shown} <= {0}


def test_progress_that_grows_beyond_all_numbers_is_refused(bench: LuaBench) -> None:
    code = "local p = Progress.new() p:update(1e308) p:add(1e308)"
    assert bench.caught(code).startswith("bad argument #1 to 'progress:add' (finite number expected")


def test_more_comms_than_a_script_may_have_are_refused_to_it() -> None:
    bench = LuaBench()
    bench.sandbox.host.frontend = True
    bench.run(f"made = {{}} for i = 1, {MOST_OPEN} do made[i] = Comm.new('t') end")
    refusal = "Validation error: 10000 comms are open already; close those that are not needed"
    assert bench.caught("Comm.new('t')") == refusal
    assert bench.value("made[1]:close() made[1]:close() return #Comm.list()") == MOST_OPEN - 1
    assert bench.value("Comm.new('t') return #Comm.list()") == MOST_OPEN
    assert bench.caught("Comm.new('t')") == refusal


def test_a_comm_needs_a_frontend(bench: LuaBench) -> None:
    assert "comms need a frontend" in bench.failure("Comm.new('t')").message
    assert "comms need a frontend" in bench.failure("Comm.register_target('t', print)").message


@pytest.mark.parametrize("buffers", ["{{}}", "{5}", "{true}", "{'ok', {}}", "{print}"])
def test_wrong_buffers_of_a_comm_are_told(bench: LuaBench, buffers: str) -> None:
    bench.sandbox.host.frontend = True
    for call in (f"Comm.new('t', {{}}, {{buffers = {buffers}}})", f"Comm.new('t'):send({{}}, {{buffers = {buffers}}})"):
        message = bench.caught(call)
        assert "Internal" not in message, message
        assert "buffers" in message, message
