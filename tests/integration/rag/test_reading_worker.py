"""Documents read by a process of their own: what comes of them, and how what harms is ended."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.worker_pool import WorkerPool
from llmspell_protocol.errors import Cancelled, Forbidden, InvalidRequest, LlmspellError, NotFound, OutOfMemory
from tests.support.document_reading import CHUNKING, answered, pool, read, walked
from tests.support.docx_files import TIDES, written_docx
from tests.support.pdf_files import expanding, pdf, slow_to_read


def run(directory: Path, body: Callable[[WorkerPool], Awaitable[None]], *, memory_bytes: int = 1 << 30) -> None:
    """Runs a test's body with a pool."""

    async def main() -> None:
        workers = pool(directory, memory_bytes=memory_bytes)
        try:
            await body(workers)
        finally:
            await workers.close()

    asyncio.run(main())


def test_a_pdf_comes_in_chunks_with_their_pages(tmp_path: Path) -> None:
    path = tmp_path / "tides.pdf"
    path.write_bytes(pdf([f"Page {number}: " + TIDES * 8 for number in (1, 2, 3)], {"Title": "Tides", "Author": "Jo"}))

    async def body(workers: WorkerPool) -> None:
        found = await read(workers, path=str(path), beneath=[str(tmp_path)], name=str(path))
        facts = found.last
        assert (facts["op"], facts["unchanged"], facts["media_type"], facts["title"]) == (
            *("done", False, "application/pdf", "Tides"),
        )
        assert (facts["pages"], facts["metadata"]["author"], facts["chunks"]) == (3, "Jo", len(found.chunks))
        assert facts["tokens"] == sum(chunk["tokens"] for chunk in found.chunks)
        assert [chunk["ordinal"] for chunk in found.chunks] == list(range(len(found.chunks)))
        assert sorted({chunk["page"] for chunk in found.chunks}) == [1, 2, 3]
        progress = [frame for frame in found.frames if frame["op"] == "chunks"]
        assert progress[-1]["done_characters"] == progress[-1]["total_characters"] == facts["characters"]
        again = await read(workers, path=str(path), beneath=[str(tmp_path)], name=str(path), known=facts["hash"])
        assert (again.last["unchanged"], again.last["hash"], again.asked) == (True, facts["hash"], 0)
        cut_otherwise = {**CHUNKING, "chunk_size": 50}
        other = await read(
            *(workers,),
            path=str(path),
            beneath=[str(tmp_path)],
            name=str(path),
            known=facts["hash"],
            chunking=cut_otherwise,
        )
        assert not other.last["unchanged"]

    run(tmp_path, body)


def test_a_docx_comes_in_chunks_with_their_headings(tmp_path: Path) -> None:
    async def body(workers: WorkerPool) -> None:
        found = await read(workers, data=written_docx(), name="tides.docx")
        assert found.chunks[0]["section"] == "Tides"
        assert found.chunks[-1]["text"].endswith("Port | Hour\n\nDover | 11")
        assert (found.last["title"], found.last["metadata"]["author"]) == ("Tides", "Jo")

    run(tmp_path, body)


def test_meaning_is_asked_for_as_counts_are(tmp_path: Path) -> None:
    async def body(workers: WorkerPool) -> None:
        text = "Aa aaa aa aaa. " * 8 + "Zz zzz zz zzz. " * 8
        chunking = {**CHUNKING, "strategy": "semantic"}
        found = await read(workers, data=text.encode(), name="x.txt", chunking=chunking)
        asked = [frame["what"] for frame in found.frames if frame["op"] == "ask"]
        assert set(asked) == {"count", "embed"}
        assert all(not ("Aa" in chunk["text"] and "Zz zzz zz zzz. Zz" in chunk["text"]) for chunk in found.chunks)

    run(tmp_path, body)


def test_a_cancelled_reading_ends_where_it_is_and_the_process_with_it(tmp_path: Path) -> None:
    async def body(workers: WorkerPool) -> None:
        async with workers.lease() as lease:
            given = {"chunking": CHUNKING, "limit": 200, "media_type": None}
            call = lease.calls.open("read", data=(TIDES * 400).encode(), name="tides.txt", **given)
            assert (await answered(call, until_asked=3)).frames[-1]["op"] == "ask"
            child = lease.calls.child
            call.leave()
        async with asyncio.timeout(60):
            await child.exited
        with pytest.raises(ProcessLookupError):
            os.kill(child.pid, 0)
        assert (await read(workers, data=TIDES.encode(), name="tides.txt")).last["op"] == "done"

    run(tmp_path, body)


def test_a_reading_that_waits_for_an_answer_hears_that_it_is_cancelled(tmp_path: Path) -> None:
    async def body(workers: WorkerPool) -> None:
        async with workers.lease() as lease:
            given = {"chunking": CHUNKING, "limit": 200, "media_type": None}
            call = lease.calls.open("read", data=(TIDES * 400).encode(), name="tides.txt", **given)
            await answered(call, until_asked=2)
            call.cancel()
            with pytest.raises(Cancelled):
                await answered(call)
            assert (await read_again(lease.calls))["op"] == "done"

    async def read_again(calls: Any) -> Any:
        given = {"chunking": CHUNKING, "limit": 200, "media_type": None}
        return (await answered(calls.open("read", data=b"Short.", name="s.txt", **given))).last

    run(tmp_path, body)


def test_a_pdf_that_takes_for_ever_is_ended_when_its_time_is_over(tmp_path: Path) -> None:
    async def body(workers: WorkerPool) -> None:
        assert (await read(workers, data=pdf(["one"]), name="one.pdf")).last["op"] == "done"
        with pytest.raises(TimeoutError):
            await read(workers, data=slow_to_read(), name="slow.pdf", within_s=2)
        assert (await read(workers, data=pdf(["two"]), name="two.pdf")).chunks[0]["text"] == "two"

    run(tmp_path, body)


def test_a_pdf_that_takes_all_memory_ends_its_process_alone(tmp_path: Path) -> None:
    async def body(workers: WorkerPool) -> None:
        try:
            ended = (await read(workers, data=expanding(), name="bomb.pdf")).last
        except OutOfMemory:
            pass
        else:
            # PDFium's way to say that there is no more memory.
            assert (ended["op"], ended["status"]) == ("exited", -signal.SIGABRT)
        assert (await read(workers, data=pdf(["two"]), name="two.pdf")).chunks[0]["text"] == "two"

    run(tmp_path, body, memory_bytes=400 << 20)


def test_text_that_takes_all_memory_is_told_so(tmp_path: Path) -> None:
    async def body(workers: WorkerPool) -> None:
        with pytest.raises(OutOfMemory) as told:
            await read(workers, data=b"[" + b"[1]," * 6_000_000 + b"1]", name="large.json")
        assert told.value.details == {"limit_bytes": 200 << 20}

    run(tmp_path, body, memory_bytes=200 << 20)


def test_a_docx_that_would_unpack_to_gigabytes_is_refused_before_it_is(tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(written_docx())) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
        with new.open("word/media/image1.png", "w") as padding:
            for _ in range(200):
                padding.write(bytes(1 << 20))

    async def body(workers: WorkerPool) -> None:
        with pytest.raises(InvalidRequest, match="would unpack to") as told:
            await read(workers, data=file.getvalue(), name="bomb.docx")
        assert told.value.details["reason"] == "bomb"

    run(tmp_path, body, memory_bytes=200 << 20)


def test_files_are_opened_below_what_may_be_read_and_nowhere_else(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "secret.txt").write_text("Not for you.")
    (inside / "link.txt").symlink_to(outside / "secret.txt")
    (inside / "same.txt").symlink_to("real.txt")
    (inside / "real.txt").write_text("Free to read.")
    os.mkfifo(inside / "pipe.txt")

    async def body(workers: WorkerPool) -> None:
        async def refusal(path: Path, **more: Any) -> LlmspellError:
            with pytest.raises(LlmspellError) as told:
                await read(workers, path=str(path), beneath=[str(inside)], name=str(path), **more)
            return told.value

        assert type(await refusal(inside / "link.txt")) is Forbidden
        assert type(await refusal(outside / "secret.txt")) is Forbidden
        assert type(await refusal(inside / "gone.txt")) is NotFound
        assert "no plain file" in (await refusal(inside / "pipe.txt")).message
        assert (await refusal(inside / "real.txt", largest_bytes=5)).details["reason"] == "size"
        found = await read(workers, path=str(inside / "same.txt"), beneath=[str(inside)], name="same.txt")
        assert found.chunks[0]["text"] == "Free to read."

    run(tmp_path, body)


def test_directories_are_walked_in_frames(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(600):
        (folder / f"{number:03}.md").write_text(f"# {number}")
    (folder / "picture.png").write_bytes(b"\x89PNG")

    async def body(workers: WorkerPool) -> None:
        found = await walked(workers, [folder, tmp_path / "gone"])
        files = [file for frame in found.frames if frame["op"] == "files" for file in frame["files"]]
        skipped = [one for frame in found.frames if frame["op"] == "files" for one in frame["skipped"]]
        assert [file["path"] for file in files] == [str(folder / f"{number:03}.md") for number in range(600)]
        assert [one["path"] for one in skipped] == [str(folder / "picture.png"), str(tmp_path / "gone")]
        assert files[7] == {
            "path": str(folder / "007.md"),
            "size": 3,
            "mtime_ns": (folder / "007.md").stat().st_mtime_ns,
            "media_type": "text/markdown",
        }
        assert found.last == {"op": "done", "id": found.last["id"], "files": 600, "skipped": 2}

    run(tmp_path, body)


def test_what_can_not_be_read_is_told_and_the_next_one_is_read(tmp_path: Path) -> None:
    async def body(workers: WorkerPool) -> None:
        for data, name, message in (
            (b"\x00\x01\x02", "x.txt", "is binary"),
            (b"%PDF-1.7 nothing", "x.pdf", "is damaged"),
            (b"PK\x03\x04", "x.docx", "is damaged"),
            (b"  \n ", "x.md", "has no text"),
            (b"[" * 100_000, "x.json", "nested too deep"),
        ):
            with pytest.raises(InvalidRequest, match=message):
                await read(workers, data=data, name=name)
        first = workers.pids
        assert (await read(workers, data=TIDES.encode(), name="tides.txt")).last["op"] == "done"
        assert workers.pids == first

    run(tmp_path, body)
