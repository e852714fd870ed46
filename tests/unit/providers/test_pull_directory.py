"""Where the pull of another process stands, by what it left on the disk."""

from __future__ import annotations

from pathlib import Path

from llmspell_providers.pulls.sources.pull_directory import Provenance, PullDirectory


def test_a_waiting_pull_counts_what_is_downloaded_and_not_what_is_unpacked_from_it(tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    first, _ = PullDirectory.acquire(tmp_path / "pull", lambda done, total: None)
    first.note("a.whl", Provenance(size_bytes=10))
    first.part("a.whl").write_bytes(b"x" * 10)
    first.part("a.gguf").write_bytes(b"x" * 5)

    def watch(done: int, total: int | None) -> None:
        if not seen:
            first.close()
        seen.append((done, total))

    second, waited = PullDirectory.acquire(tmp_path / "pull", watch)
    second.close()
    assert waited
    assert set(seen) == {(10, 10)}


def test_tidying_keeps_what_can_be_resumed_and_a_pull_that_runs(tmp_path: Path) -> None:
    place = tmp_path / "pull"
    PullDirectory.tidy(place)
    assert not place.exists()
    running, _ = PullDirectory.acquire(place, lambda done, total: None)
    running.part("unknown").write_bytes(b"x")
    PullDirectory.tidy(place)
    assert running.part("unknown").exists()
    running.note("known", Provenance(size_bytes=10))
    running.part("known").write_bytes(b"x")
    running.close()
    PullDirectory.tidy(place)
    assert sorted(path.name for path in place.iterdir()) == ["known.part", "state.json"]
