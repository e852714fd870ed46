"""`python -m benchmarks.growth [--to N]`: what passages cost as they grow, from 1,000 vectors; a table and a picture.

Of each size the time that the last vectors took to be written and to be in the graph, a search, what share of the
nearest it finds, memory and disk.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.clustered import questions
from benchmarks.vectors import Best, K, Room
from llmspell_protocol.rag.settings import IndexSettings
from llmspell_protocol.worker_memory import resident_bytes

SIZES = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
_ASKED = 200
_WIDTH, _HEIGHT, _MARGIN = 640, 420, 60
_COLORS = ("#1b6ca8", "#c0392b", "#27824b", "#8e5a9f")


class Point(NamedTuple):
    """What so many vectors cost."""

    vectors: int
    write_us: float
    """one vector, written and indexed"""
    search_ms: float
    """p50 of the ten nearest with their passages"""
    recall: float
    """share of the ten nearest that a search finds"""
    memory_mb: float
    disk_mb: float


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--to", type=int, default=SIZES[-1], help="the largest number of vectors (default 1,000,000)")
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--quantization", choices=("f32", "f16", "i8"), default=IndexSettings().quantization)
    parser.add_argument("--svg", type=Path, help="where the picture goes")
    arguments = parser.parse_args()
    settings = IndexSettings(quantization=arguments.quantization)
    points: list[Point] = []
    print(
        "| vectors | written and indexed, µs each | search p50, ms | recall@10 | memory, MB | disk, MB |\n"
        "|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory(prefix="llmspell-growth-") as directory:
        room = Room(Path(directory), 0, arguments.dimension, settings)
        asked = questions(_ASKED, arguments.dimension)
        best = Best(asked)
        before = resident_bytes()
        there = 0
        for size in (one for one in SIZES if one <= arguments.to):
            began = time.perf_counter()
            # Topics stay the same; each step has vectors of its own.
            room.write(size - there, seed=0, stream=size)
            room.index()
            took = time.perf_counter() - began
            room.ask("save")
            best.add(size - there, stream=size)
            searches, found = [], 0
            for one, nearest in zip(asked, best.nearest, strict=True):
                began = time.perf_counter()
                hits = room.search(one).hits
                searches.append(time.perf_counter() - began)
                found += len(nearest.intersection(hit.id for hit in hits))
            disk = sum(one.stat().st_size for one in Path(directory).rglob("*") if one.is_file())
            points.append(
                Point(
                    size,
                    took / (size - there) * 1e6,
                    statistics.median(searches) * 1e3,
                    found / (K * len(asked)),
                    (resident_bytes() - before) / 1e6,
                    disk / 1e6,
                )
            )
            there = size
            last = points[-1]
            print(
                f"| {last.vectors:,} | {last.write_us:,.0f} | {last.search_ms:.2f} | {last.recall:.3f}"
                f" | {last.memory_mb:,.0f} | {last.disk_mb:,.0f} |",
                flush=True,
            )
        room.calls.close()
    if arguments.svg is not None:
        arguments.svg.write_text(picture(points), encoding="utf-8")


def picture(points: Sequence[Point]) -> str:
    """The figures over the number of vectors, both axes logarithmic; SVG."""
    names = {
        "write_us": "µs to write one",
        "search_ms": "ms to search",
        "memory_mb": "MB of memory",
        "disk_mb": "MB of disk",
    }
    lines = [tuple(getattr(one, field) for one in points) for field in names]
    values = [value for line in lines for value in line if value > 0]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    left, right = math.log10(points[0].vectors), math.log10(points[-1].vectors)

    def x(vectors: float) -> float:
        return _MARGIN + (math.log10(vectors) - left) / max(1e-9, right - left) * (_WIDTH - 2 * _MARGIN)

    def y(value: float) -> float:
        share = (math.log10(max(value, 10.0**low)) - low) / max(1, high - low)
        return _HEIGHT - _MARGIN - share * (_HEIGHT - 2 * _MARGIN)

    said = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif"'
        ' font-size="12">'
    ]
    for power in range(low, high + 1):
        at = y(10.0**power)
        said.append(f'<path d="M{_MARGIN} {at:.1f}H{_WIDTH - _MARGIN}" stroke="#ddd"/>')
        said.append(f'<text x="{_MARGIN - 6}" y="{at + 4:.1f}" text-anchor="end">{10.0**power:g}</text>')
    said += [
        f'<text x="{x(one.vectors):.1f}" y="{_HEIGHT - _MARGIN + 18}" text-anchor="middle">{one.vectors:,}</text>'
        for one in points
    ]
    for at, (name, line, color) in enumerate(zip(names.values(), lines, _COLORS, strict=True)):
        path = "L".join(f"{x(one.vectors):.1f} {y(value):.1f}" for one, value in zip(points, line, strict=True))
        said.append(f'<path d="M{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        said.append(f'<text x="{_MARGIN + at * 140}" y="{_MARGIN - 24}" fill="{color}">{name}</text>')
    return "\n".join([*said, "</svg>"]) + "\n"


if __name__ == "__main__":
    main()
