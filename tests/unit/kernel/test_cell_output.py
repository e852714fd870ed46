"""What a cell prints and shows on its way to frontends: gathered, in order, and never more than a server passes on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from math import inf, nan
from typing import Any

import pytest

from llmspell_kernel.identity import Caller
from llmspell_kernel.request import Request
from llmspell_kernel.scripting.cell_output import CellOutput
from llmspell_kernel.scripting.flood import KEPT_CHARACTERS, MESSAGE_BYTES, MOST_BYTES
from llmspell_kernel.scripting.progress_text import ended, of_script, of_work
from tests.support.notebook_server_limits import NotebookServer
from tests.support.recording_sink import RecordingSink
from tests.support.virtual_time import run_in_virtual_time

Sent = list[tuple[str, dict[str, Any]]]


class TimedSink(RecordingSink):
    """A sink that has a notebook server behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.server = NotebookServer()

    def publish(self, msg_type: str, content: Any, metadata: Any = None, buffers: Any = ()) -> None:
        super().publish(msg_type, content)
        size = MESSAGE_BYTES + len(str(content.get("text", "")).encode()) + str(content.get("text", "")).count("\n")
        self.server.take(msg_type, size, asyncio.get_running_loop().time())


def sent(
    body: Callable[[CellOutput], Awaitable[None]],
    *,
    silent: bool = False,
    deltas: bool = False,
    stopped: bool = False,
    console: bool = False,
) -> tuple[Sent, TimedSink]:
    """What leaves for a cell that does this."""
    sink = TimedSink()

    async def main() -> None:
        request = Request("cell", "execute_request", {}, Caller(client="c", session="s"), sink)
        output = CellOutput(request, silent=silent, deltas=deltas, console=console)
        await body(output)
        output.end(stopped=stopped)
        output.end()

    run_in_virtual_time(main())
    return sink.sent, sink


def display(text: str, id: str | None = None) -> dict[str, Any]:
    return {"data": {"text/plain": text}, "metadata": {}, "transient": {} if id is None else {"display_id": id}}


def texts(messages: Sent, stream: str = "stdout") -> str:
    return "".join(content["text"] for kind, content in messages if kind == "stream" and content["name"] == stream)


def test_the_first_piece_leaves_at_once_and_what_follows_together() -> None:
    async def body(output: CellOutput) -> None:
        for token in ("one ", "two ", "three "):
            output.write("stdout", token)
        await asyncio.sleep(1)
        output.write("stdout", "four")

    messages, _ = sent(body)
    assert [content["text"] for _, content in messages] == ["one ", "two three ", "four"]


def test_displays_stand_between_what_is_printed_before_and_after() -> None:
    async def body(output: CellOutput) -> None:
        output.write("stdout", "a")
        output.write("stdout", "b")
        output.show("display_data", display("x"))
        output.write("stdout", "c")

    messages, _ = sent(body)
    assert [content.get("text") or content["data"]["text/plain"] for _, content in messages] == ["a", "b", "x", "c"]


@pytest.mark.parametrize("line", ["x\n", "x" * 79 + "\n", "ä" * 3000 + "\n", "x" * 500_000])
def test_a_flood_stays_within_what_a_notebook_server_passes_on_and_keeps_its_end(line: str) -> None:
    written = 0

    async def body(output: CellOutput) -> None:
        nonlocal written
        while written < min(20_000_000, 1_000_000 * len(line)):
            for _ in range(max(1, 200_000 // len(line))):
                output.write("stdout", line)
                written += len(line)
            await asyncio.sleep(0.01)
        output.write("stdout", "the end\n")

    messages, sink = sent(body)
    assert sink.server.dropped == 0
    assert texts(messages).endswith("the end\n")
    assert len(texts(messages)) < MOST_BYTES + 2 * KEPT_CHARACTERS
    cut = [content["text"] for kind, content in messages if kind == "stream" and content["name"] == "stderr"]
    assert cut, "what was cut is not said"
    said = sum(int(one.split()[0].lstrip("[").replace(",", "")) for one in cut if "characters were cut here" in one)
    assert said == written + len("the end\n") - len(texts(messages))


def test_a_long_and_slow_flow_is_never_cut() -> None:
    async def body(output: CellOutput) -> None:
        for number in range(20_000):
            output.write("stdout", f"token {number} ")
            await asyncio.sleep(0.005)

    messages, sink = sent(body)
    assert texts(messages) == "".join(f"token {number} " for number in range(20_000))
    assert sink.server.dropped == 0
    assert len(messages) < 20 * 100 + 2


def test_a_cell_shows_so_much_and_then_its_end() -> None:
    async def body(output: CellOutput) -> None:
        for _ in range(400):
            output.write("stdout", "x" * 99_999 + "\n")
            await asyncio.sleep(0.2)
        output.write("stdout", "the end\n")

    messages, _ = sent(body)
    assert texts(messages).endswith("the end\n")
    assert len(texts(messages)) < MOST_BYTES + 2 * KEPT_CHARACTERS
    assert texts(messages, "stderr").count("a cell shows 16 MB") == 1


def test_two_streams_in_turns_are_a_flood_too() -> None:
    async def body(output: CellOutput) -> None:
        for number in range(20_000):
            output.write("stdout" if number % 2 else "stderr", f"{number}\n")
        output.write("stdout", "the end\n")

    messages, sink = sent(body)
    assert sink.server.dropped == 0
    assert texts(messages).endswith("the end\n")
    assert "characters were cut here" in texts(messages, "stderr")


def test_updates_come_together_and_the_last_one_stays() -> None:
    async def body(output: CellOutput) -> None:
        output.show("display_data", display("0", "a"))
        for number in range(10_000):
            output.show("update_display_data", display(str(number), "a"))
        output.show("update_display_data", display("other", "b"))

    messages, sink = sent(body)
    assert sink.server.dropped == 0
    last = {content["transient"]["display_id"]: content["data"]["text/plain"] for _, content in messages}
    assert last == {"a": "9999", "b": "other"}


def test_a_flood_of_displays_goes_on_as_text() -> None:
    async def body(output: CellOutput) -> None:
        for number in range(10_000):
            output.show("display_data", display(f"display {number}"))

    messages, sink = sent(body)
    assert sink.server.dropped == 0
    assert messages[0] == ("display_data", display("display 0"))
    assert texts(messages).endswith("display 9999\n")


def test_an_animation_sends_only_what_can_be_seen() -> None:
    async def body(output: CellOutput) -> None:
        output.write("stdout", "before\n")
        for number in range(1_000):
            output.show("clear_output", {"wait": True})
            output.write("stdout", f"frame {number}\n")
            await asyncio.sleep(0.001)

    messages, sink = sent(body)
    assert messages[0] == ("stream", {"name": "stdout", "text": "before\n"})
    assert messages[-2:] == [
        ("clear_output", {"wait": True}),
        ("stream", {"name": "stdout", "text": "frame 999\n"}),
    ]
    assert len(messages) < 100
    assert sink.server.dropped == 0


def test_a_frame_may_be_printed_in_pieces_and_its_display_belongs_to_it() -> None:
    async def body(output: CellOutput) -> None:
        for number in range(100):
            output.show("clear_output", {"wait": True})
            output.write("stdout", f"frame {number}, ")
            output.write("stdout", "second line\n")
            await asyncio.sleep(0.001)
        output.show("clear_output", {"wait": True})
        output.write("stdout", "a")
        output.show("display_data", display("x"))
        output.write("stdout", "b")

    messages, _ = sent(body)
    kinds = [kind for kind, _ in messages]
    last = len(kinds) - 1 - kinds[::-1].index("clear_output")
    shown = [content.get("text") or content["data"]["text/plain"] for _, content in messages[last + 1 :]]
    assert shown == ["a", "x", "b"]
    frames = "".join(str(content.get("text", "|")) for _, content in messages[:last]).split("|")
    assert all(frame.endswith("second line\n") for frame in frames[2:])  # The first one leaves at once.


def test_clearing_without_a_wait_takes_back_what_has_not_left() -> None:
    async def body(output: CellOutput) -> None:
        output.write("stdout", "a")
        output.write("stdout", "b")
        output.show("clear_output", {"wait": False})
        output.write("stdout", "c")

    messages, _ = sent(body)
    assert [content.get("text", kind) for kind, content in messages] == ["a", "clear_output", "c"]


def test_clearing_with_a_wait_and_nothing_behind_it_is_told_at_the_end() -> None:
    async def body(output: CellOutput) -> None:
        output.write("stdout", "a")
        output.show("clear_output", {"wait": True})

    messages, _ = sent(body)
    assert [kind for kind, _ in messages] == ["stream", "clear_output"]


# Who reads deltas


def test_a_client_that_reads_deltas_has_the_text_of_a_display_and_the_display() -> None:
    async def body(output: CellOutput) -> None:
        output.write("stdout", "a\n")
        output.show("display_data", display("x"))

    messages, _ = sent(body, silent=True, deltas=True)
    assert messages == [
        ("delta", {"stream": "stdout", "text": "a\n"}),
        ("delta", {"stream": "stdout", "text": "x\n", "display": {"kind": "display_data", **display("x")}}),
    ]
    messages, _ = sent(body, deltas=True)
    assert [kind for kind, _ in messages] == ["delta", "stream", "delta", "display_data"]


def test_a_client_that_reads_deltas_misses_nothing_that_is_cleared() -> None:
    async def body(output: CellOutput) -> None:
        for number in range(100):
            output.show("clear_output", {"wait": True})
            output.write("stdout", f"frame {number}\n")

    messages, _ = sent(body, deltas=True)
    deltas = [content for kind, content in messages if kind == "delta"]
    assert "".join(delta["text"] for delta in deltas) == "".join(f"frame {number}\n" for number in range(100))
    assert len([delta for delta in deltas if "display" in delta]) == 100


def test_a_client_that_reads_deltas_shows_pulls_and_loads_by_itself() -> None:
    async def body(output: CellOutput) -> None:
        output.work("w", {"model": "m"}, {"phase": "loading"})
        await asyncio.sleep(10)
        output.work_ended("w", {"status": "ok"})

    assert sent(body, deltas=True)[0] == []


# Progress


def step(value: int, state: str = "running", **more: Any) -> dict[str, Any]:
    return {"id": "p", "label": "files", "value": value, "total": 100, "state": state, **more}


def test_progress_is_one_display_that_changes_five_times_a_second_and_a_last_time() -> None:
    async def body(output: CellOutput) -> None:
        for number in range(100):
            output.show("progress", step(number))
            await asyncio.sleep(0.02)
        output.show("progress", step(100, "done"))

    messages, _ = sent(body)
    assert [kind for kind, _ in messages] == ["display_data", *["update_display_data"] * (len(messages) - 1)]
    assert len({content["transient"]["display_id"] for _, content in messages}) == 1
    assert len(messages) <= 2 * 5 + 2  # Two seconds.
    assert messages[0][1]["data"]["text/plain"] == f"files  [{'.' * 24}]  0 %  0 of 100"
    assert messages[-1][1]["data"]["text/plain"] == "files  100 of 100  ✓"
    assert 'value="1.0000"' in messages[-1][1]["data"]["text/html"]


def test_progress_in_a_console_is_a_line_that_changes_and_makes_room_for_what_is_printed() -> None:
    async def body(output: CellOutput) -> None:
        output.write("stdout", "begun")
        for number in (10, 20, 30):
            output.show("progress", step(number))
            await asyncio.sleep(1)
        output.write("stdout", "printed\n")
        await asyncio.sleep(1)
        output.show("progress", step(40))
        await asyncio.sleep(1)
        output.show("progress", step(100, "done"))
        output.show("display_data", display("shown"))

    messages, _ = sent(body, console=True)
    assert [kind for kind, _ in messages].count("display_data") == 1
    screen = Screen()
    for kind, content in messages:
        screen.take(content["text"] if kind == "stream" else content["data"]["text/plain"] + "\n")
    assert screen.lines == ["begun", "printed", "files  100 of 100  ✓", "shown", ""]
    frames = [line.partition("  [")[0] for line in texts(messages, "stderr").split("\r")]
    assert frames.count("files") == 3
    assert frames[0] == "\nfiles"


@pytest.mark.parametrize(("stopped", "end"), [(True, "41 %  41 of 100  ✗ stopped"), (False, "41 %  41 of 100")])
def test_progress_in_a_console_ends_its_line_with_the_cell(stopped: bool, end: str) -> None:
    async def body(output: CellOutput) -> None:
        output.show("progress", step(41))
        await asyncio.sleep(1)

    screen = Screen()
    for _, content in sent(body, console=True, stopped=stopped)[0]:
        screen.take(content["text"])
    assert len(screen.lines) == 2
    assert screen.lines[0].endswith(end)


class Screen:
    """What a terminal shows of a text."""

    def __init__(self) -> None:
        self._rows = [""]
        self._at = 0

    def take(self, text: str) -> None:
        for one in text:
            if one == "\n":
                self._rows.append("")
                self._at = 0
            elif one == "\r":
                self._at = 0
            else:
                row = self._rows[-1]
                self._rows[-1] = row[: self._at] + one + row[self._at + 1 :]
                self._at += 1

    @property
    def lines(self) -> list[str]:
        return [row.rstrip() for row in self._rows]


def test_progress_of_a_cell_that_fails_says_that_it_stopped() -> None:
    async def body(output: CellOutput) -> None:
        output.show("progress", step(40))
        output.show("progress", step(41))

    messages, _ = sent(body, stopped=True)
    assert messages[-1][1]["data"]["text/plain"] == "files  41 %  41 of 100  ✗ stopped"
    messages, _ = sent(body)
    assert messages[-1][1]["data"]["text/plain"].endswith("41 %  41 of 100")


def test_progress_that_failed_says_why() -> None:
    async def body(output: CellOutput) -> None:
        output.show("progress", step(40, "failed", message="<no room>"))

    messages, _ = sent(body)
    assert messages[-1][1]["data"]["text/plain"] == "files  40 %  40 of 100  <no room>  ✗ failed"
    assert "&lt;no room&gt;" in messages[-1][1]["data"]["text/html"]


def test_a_silent_cell_has_no_progress() -> None:
    async def body(output: CellOutput) -> None:
        output.show("progress", step(40))
        output.work("w", {"model": "m"}, {"phase": "loading"})
        await asyncio.sleep(10)
        output.work_ended("w", {"status": "ok"})

    assert sent(body, silent=True)[0] == []


def test_a_client_that_reads_deltas_has_the_text_of_the_last_step_alone() -> None:
    async def body(output: CellOutput) -> None:
        for number in (1, 2):
            output.show("progress", step(number))
            await asyncio.sleep(1)
        output.show("progress", step(100, "done"))

    messages, _ = sent(body, deltas=True)
    deltas = [content for kind, content in messages if kind == "delta"]
    assert [delta["text"] for delta in deltas] == ["", "", "files  100 of 100  ✓\n"]
    assert all(delta["display"]["progress"] for delta in deltas)


# Requests of scripts


def work(*told: dict[str, Any], reply: dict[str, Any], pause_s: float = 1.0) -> list[str]:
    """The texts that show a request's progress and reply."""

    async def body(output: CellOutput) -> None:
        for one in told:
            output.work("w", {"model": "smollm2:135m"}, one)
            await asyncio.sleep(pause_s)
        output.work_ended("w", reply)

    return [content["data"]["text/plain"] for _, content in sent(body)[0]]


def pulled(done: int, **more: Any) -> dict[str, Any]:
    return {"phase": "downloading", "bytes_downloaded": done, "bytes_total": 100_000_000, **more}


def test_a_pull_is_one_display_to_its_end() -> None:
    assert work(
        {"phase": "resolving", "bytes_downloaded": 0, "bytes_total": None},
        pulled(39_300_000, bytes_per_second=4_100_000, eta_s=14.2),
        {**pulled(100_000_000), "phase": "verifying"},
        reply={"status": "ok"},
    ) == [
        "Pulling smollm2:135m  resolving",
        f"Pulling smollm2:135m  [{'#' * 9}{'.' * 15}]  39 %  39.3 MB of 100.0 MB  4.1 MB/s, 14 s left",
        f"Pulling smollm2:135m  [{'#' * 24}]  100 %  100.0 MB of 100.0 MB  verifying",
        "Pulling smollm2:135m  100.0 MB of 100.0 MB  ✓  3.0 s",
    ]


@pytest.mark.parametrize(
    ("reply", "last"),
    [
        ({"status": "error", "code": "cancelled", "message": "m"}, "39 %  39.3 MB of 100.0 MB  ✗ stopped  1.0 s"),
        (
            {"status": "error", "code": "not_found", "message": "gone"},
            "39 %  39.3 MB of 100.0 MB  gone  ✗ failed  1.0 s",
        ),
    ],
)
def test_a_pull_that_fails_or_is_cancelled_says_so(reply: dict[str, Any], last: str) -> None:
    assert work(pulled(39_300_000), reply=reply)[-1] == f"Pulling smollm2:135m  {last}"


def test_a_load_and_a_prompt_that_is_read_are_shown_until_the_answer_comes() -> None:
    assert work(
        {"phase": "loading"},
        {"phase": "prefill", "processed": 512, "total": 2048, "eta_s": 90.0},
        reply={"status": "ok"},
    ) == [
        "Loading smollm2:135m",
        f"Reading the prompt  [{'#' * 6}{'.' * 18}]  25 %  512 of 2,048 tokens  1 min 30 s left",
        "Reading the prompt  2,048 of 2,048 tokens  ✓  2.0 s",
    ]


def test_a_workflow_counts_its_steps() -> None:
    def told(event: str, **more: Any) -> dict[str, Any]:
        return {"event": event, "execution_id": "e", "path": [], **more}

    assert work(
        told("workflow_started", workflow="report"),
        told("step_started", step="a"),
        told("step_completed", step="a"),
        told("iteration_started", iteration=1, total=3),
        reply={"status": "ok"},
    ) == [
        "Workflow report  0 steps",
        "Workflow report  0 steps  step started: a",
        "Workflow report  1 steps  step completed: a",
        "Workflow report  1 steps  round 2 of 3",
        "Workflow report  1 steps  ✓  4.0 s",
    ]


def test_what_is_over_in_a_moment_is_not_shown() -> None:
    assert work({"phase": "loading"}, reply={"status": "ok"}, pause_s=0.4) == []
    assert work({"phase": "queued"}, reply={"status": "ok"}) == []


@pytest.mark.parametrize("number", [nan, inf, -inf, 1e308, -1e308, 10**400, True, "12", None, {}])
def test_numbers_of_any_kind_make_a_text(number: Any) -> None:
    for content in (step(number), {**step(1), "total": number}, {**step(number, "failed"), "unit": "bytes"}):
        drawn = of_script(content)
        assert len(drawn.drawn) < 300
        assert len(drawn.html) < 300
    told = {"bytes_per_second": number, "eta_s": number, "bytes_total": number, "bytes_downloaded": number}
    prefill = {"phase": "prefill", "processed": number, "total": number, "eta_s": number}
    for one in (of_work({}, {"phase": "downloading", **told}, None), of_work({}, prefill, None)):
        assert one is not None
        assert len(ended(one, {"status": "ok"}, 1.0).drawn) < 300
        assert len(one.html) < 400


class FailingSink(RecordingSink):
    """A sink that takes no displays."""

    def publish(self, msg_type: str, content: Any, metadata: Any = None, buffers: Any = ()) -> None:
        if msg_type.endswith("display_data"):
            raise OverflowError("no display")
        super().publish(msg_type, content)


def test_what_can_not_be_shown_keeps_nothing_else_from_its_end(caplog: pytest.LogCaptureFixture) -> None:
    sink = FailingSink()

    async def main() -> None:
        request = Request("cell", "execute_request", {}, Caller(client="c", session="s"), sink)
        output = CellOutput(request, silent=False, deltas=False)
        for key in ("a", "b"):
            with pytest.raises(OverflowError):
                output.show("progress", {**step(1), "id": key})
        output.write("stdout", "first\n")
        output.write("stdout", "last\n")
        output.show("clear_output", {"wait": True})
        output.end(stopped=True)
        output.end()

    run_in_virtual_time(main())
    assert texts(sink.sent) == "first\nlast\n"
    assert sink.sent[-1] == ("clear_output", {"wait": True})
    assert [record.getMessage().split(" in ")[1] for record in caplog.records] == ["a progress display"] * 2
