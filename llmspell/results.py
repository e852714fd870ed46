"""What the client returns: replies as the protocol's own classes, and five of its own that a notebook can show.

Knows contents of replies, not how they came.
"""

from __future__ import annotations

import functools
import json
import sys
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from types import UnionType
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from llmspell_protocol.areas.agent import AgentExecuteReply
from llmspell_protocol.areas.model_texts import ModelEmbedReply
from llmspell_protocol.areas.rag import RagAskReply
from llmspell_protocol.client.events import Output, Reply
from llmspell_protocol.models import ChatResult

if TYPE_CHECKING:
    import numpy

Result = TypeVar("Result")


class _Shown:
    """An answer's text, for people."""

    __slots__ = ()

    def __str__(self) -> str:
        return str(getattr(self, "text"))  # noqa: B009 — each class has it in its own way

    def _repr_markdown_(self) -> str:
        """What a notebook shows: models write Markdown."""
        return str(self)


class Answer(_Shown, ChatResult):
    """A model's finished reply: `ChatResult`, which `str` and a notebook show as its text."""

    __slots__ = ()

    @property
    def text(self) -> str:
        """What the model said."""
        return self.message.content

    @property
    def data(self) -> Any:
        """The text as JSON: what was asked for by `schema`.

        Raises:
            ValueError: the text is no JSON.
        """
        return json.loads(self.text)


class AgentAnswer(_Shown, AgentExecuteReply):
    """An agent's finished turn: `AgentExecuteReply`, which `str` and a notebook show as its text."""

    __slots__ = ()


class RagAnswer(_Shown, RagAskReply):
    """An answer from documents: `RagAskReply`, which `str` and a notebook show as its text."""

    __slots__ = ()

    @property
    def text(self) -> str:
        """What the model said; where `found` is false it was not asked, and this is empty."""
        return self.answer or ""


class Vectors(ModelEmbedReply):
    """One vector a text, in the order of the texts: a sequence of lists of floats; `numpy.asarray` takes it too."""

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> list[float]:
        start = range(self.count)[index] * self.dimensions
        return self._numbers()[start : start + self.dimensions].tolist()

    def __iter__(self) -> Iterator[list[float]]:
        return map(self.__getitem__, range(self.count))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> numpy.ndarray[Any, Any]:
        """The matrix `count × dimensions` of float32."""
        # Only numpy calls this, so that it is there.
        import numpy

        matrix = numpy.frombuffer(self.vectors, dtype="<f4").reshape(self.count, self.dimensions)
        return matrix.astype(dtype) if dtype is not None else matrix.copy() if copy else matrix

    def _numbers(self) -> array[float]:
        numbers = array("f", self.vectors)
        if sys.byteorder == "big":
            numbers.byteswap()
        return numbers


@dataclass(frozen=True, kw_only=True)
class ScriptResult:
    """A finished script: what it returned as data and as text, what it printed, and how long it took."""

    result: Any
    result_repr: str | None
    """as a notebook shows it; None where it returned nothing"""
    output: str
    """its standard output"""
    errors: str
    """its standard error"""
    exit_code: int
    duration_ms: float


@dataclass(frozen=True, kw_only=True)
class CellResult:
    """A finished cell of the kernel's own state: its value, its number, and what it has shown."""

    result: Any
    result_repr: str | None
    execution_count: int
    outputs: Sequence[Output]
    """streams, displays and the value, as they came"""
    problem: str | None = None
    """why the value has no form as data, and `result` is None"""


def result_of(kind: type[Result], reply: Reply) -> Result:
    """A reply as its class; its buffer goes to the field that is declared to be one."""
    content = dict(reply.content)
    for field in fields(kind):  # type: ignore[arg-type]
        if field.metadata.get("buffer") and reply.buffers:
            content[field.name] = bytes(reply.buffers[0])
    return decoded(kind, content)


def decoded(kind: type[Result], content: Mapping[str, Any]) -> Result:
    """A map as a class of the protocol, classes inside of it too.

    Keys that the class doesn't have are left out, since a newer kernel may say more; what an older one doesn't say is
    the class's default, or None.
    """
    given = {}
    for name, hint, required in _fields_of(kind):  # type: ignore[arg-type]
        if name in content:
            given[name] = _value(hint, content[name])
        elif required:
            given[name] = None
    return kind(**given)


@functools.cache
def _fields_of(kind: type) -> tuple[tuple[str, Any, bool], ...]:
    hints = get_type_hints(kind)
    return tuple(
        (one.name, hints[one.name], one.default is MISSING and one.default_factory is MISSING) for one in fields(kind)
    )


def _value(hint: Any, value: Any) -> Any:
    if value is None:
        return None
    origin, words = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _value(_meant(words, value), value)
    if isinstance(value, Mapping):
        if isinstance(hint, type) and is_dataclass(hint):
            return decoded(hint, value)
        return {name: _value(words[1], item) for name, item in value.items()} if len(words) == 2 else value
    if isinstance(value, (list, tuple)) and len(words) >= 1:
        return tuple(_value(words[0], item) for item in value)
    return value


def _meant(kinds: Sequence[Any], value: Any) -> Any:
    """Which type of a union a value is of: of several classes the one whose fields it has."""
    classes = [kind for kind in kinds if isinstance(kind, type) and is_dataclass(kind)]
    if isinstance(value, Mapping) and classes:
        return max(classes, key=lambda kind: sum(one.name in value for one in fields(kind)))
    return next((kind for kind in kinds if get_origin(kind) is not None), Any)
