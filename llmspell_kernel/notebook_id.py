"""The id of a kernel that a frontend has started: what a person would call it. Knows names, no files."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

_NUMBERS_ONLY = re.compile(r"[0-9a-fA-F-]*\Z")
_LONGEST_NAME = 40


def notebook_id(file_name: str, session_name: str, taken: Callable[[str], bool]) -> str:
    """`analysis-0677` for the notebook `analysis.ipynb`, `notebook-0677daab` where no name is known.

    `file_name` is the connection file's without its ending: what it holds behind `kernel-` is kept where it
    was chosen. `session_name` is what a Jupyter server calls the session: a notebook's path. `taken` ids get a longer
    end.
    """
    own = file_name.removeprefix("kernel-")
    if own and not _NUMBERS_ONLY.match(own):
        return own
    digits = own.replace("-", "") or str(os.getpid())
    stem = os.path.splitext(os.path.basename(session_name))[0]
    name = re.sub(r"[^A-Za-z0-9_]+", "-", stem).strip("-_")[:_LONGEST_NAME]
    begin, shortest = (name, 4) if name else ("notebook", 8)
    ids = [f"{begin}-{digits[:length]}" for length in (shortest, 12, len(digits))]
    return next((one for one in ids if not taken(one)), ids[-1])
