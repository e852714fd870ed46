"""Each row that can be measured stands on the page about benchmarks."""

from __future__ import annotations

import re

from benchmarks.__main__ import ROWS
from tests.support.snippets import ROOT


def test_the_page_says_what_each_row_means() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    table = page.partition("## What a row means")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| ")]
    told = {name for cell in cells for name in re.findall(r"\w+", cell)}
    assert [row for row in ROWS if not any(name.startswith(row) for name in told)] == []
