"""Two values compared by their structure: where they differ, in words that are short. Knows no requests."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from llmspell_protocol.areas.session import Difference

MOST = 20
"""So many differences are told."""
_SHOWN = 60
_LONGEST_PATH = 200
_MISSING = object()


def differences(before: Any, now: Any) -> list[Difference]:
    """Where `now` is another than `before`; `path` has names and positions from 0, with dots between."""
    found = []
    for path, description in _differences(before, now, ""):
        found.append(Difference(path=path[:_LONGEST_PATH] or ".", description=description))
        if len(found) == MOST:
            break
    return found


def _differences(before: Any, now: Any, path: str) -> Iterator[tuple[str, str]]:
    if before is _MISSING:
        yield path, f"is new: {_short(now)}"
    elif now is _MISSING:
        yield path, f"is gone: {_short(before)}"
    elif isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys((*before, *now)):
            inner = f"{path}.{key}" if path else str(key)
            yield from _differences(before.get(key, _MISSING), now.get(key, _MISSING), inner)
    elif _is_list(before) and _is_list(now):
        for position, (old, new) in enumerate(zip_longest(before, now, fillvalue=_MISSING)):
            yield from _differences(old, new, f"{path}.{position}" if path else str(position))
    elif isinstance(before, str) and isinstance(now, str):
        if before != now:
            yield path, _of_texts(before, now)
    elif before != now or isinstance(before, bool) != isinstance(now, bool):
        yield path, f"{_short(before)} → {_short(now)}"


def _of_texts(before: str, now: str) -> str:
    """Two texts from where they part."""
    same = next((at for at, (old, new) in enumerate(zip(before, now, strict=False)) if old != new), None)
    at = min(len(before), len(now)) if same is None else same
    start = max(0, at - 15)
    mark = "…" if start else ""
    return f"{_short(mark + before[start:])} → {_short(mark + now[start:])}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))
