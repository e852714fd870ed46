"""The id of a kernel that a frontend has started: what a person would call it. Knows names, no files."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from itertools import count

_NUMBERS_ONLY = re.compile(r"[0-9a-fA-F-]*\Z")
_LONGEST_NAME = 40
_LONGEST_ID = 100


def notebook_id(file_name: str, session_name: str, taken: Callable[[str], bool]) -> str:
    """`analysis-0677` for the notebook `analysis.ipynb`, `notebook-0677daab` where no name is known; never a taken one.

    `file_name` is the connection file's without its ending: what it holds behind `kernel-` is kept where it
    was chosen. `session_name` is what a Jupyter server calls the session: a notebook's path. `taken` is asked about ids
    that a kernel may have, and one that it says yes to gets a longer end.
    """
    return next(one for one in _ids(file_name.removeprefix("kernel-"), session_name) if not taken(one))


def _ids(own: str, session_name: str) -> Iterator[str]:
    if not _NUMBERS_ONLY.match(own) and (chosen := _plain(own, "._")):
        begin = chosen
        yield chosen
    else:
        digits = own.replace("-", "") if _NUMBERS_ONLY.match(own) else ""
        digits = digits or str(os.getpid())
        stem = os.path.splitext(os.path.basename(session_name))[0]
        name = _plain(stem, "_")[:_LONGEST_NAME]
        begin, shortest = (name, 4) if name else ("notebook", 8)
        for length in (shortest, 12, len(digits)):
            yield f"{begin}-{digits[:length]}"
    for number in count(2):
        yield f"{begin}-{number}"


def _plain(text: str, others: str) -> str:
    """The text with what no id may hold, beside letters, digits and these others, as single `-`."""
    return re.sub(rf"[^A-Za-z0-9{others}]+", "-", text).strip("-_.")[:_LONGEST_ID]
