"""What a client sees of a request: progress, deltas, output, questions, and the reply. Plain values.

Named tuples and no dataclasses, because every start of the command line pays for their making.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple


class Progress(NamedTuple):
    """How far the work is: the content of `<area>_progress`."""

    content: dict[str, Any]


class Delta(NamedTuple):
    """A piece of the answer: the content of `<area>_delta` or `execute_delta`."""

    content: dict[str, Any]
    buffers: Sequence[bytes] = ()


class Output(NamedTuple):
    """A message of this request on IOPub: `stream`, `display_data`, `execute_result`, `error`, …"""

    msg_type: str
    content: dict[str, Any]
    metadata: dict[str, Any]
    buffers: Sequence[bytes] = ()


class InputRequest(NamedTuple):
    """The kernel asks for a line of input; `header` is what the answer refers to."""

    prompt: str
    password: bool
    header: dict[str, Any]


class Reply(NamedTuple):
    """The end of a request that went well."""

    content: dict[str, Any]
    buffers: Sequence[bytes] = ()
    metadata: Mapping[str, Any] = MappingProxyType({})


Event = Progress | Delta | Output
"""What iterating over a request yields."""
