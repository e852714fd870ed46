"""Documents that could not be taken, and which failures are a document's and not everything's."""

from __future__ import annotations

from llmspell_protocol.areas.rag import RagProblem
from llmspell_protocol.errors import LlmspellError

_OF_DOCUMENTS = frozenset(
    {
        *("invalid_request", "unsupported", "forbidden", "not_found", "context_length_exceeded", "tool_error"),
        *("timeout", "out_of_memory", "worker_crashed"),
    }
)
_OF_TEXTS = frozenset({"invalid_request", "context_length_exceeded"})


class ModelFailure(Exception):
    """The model failed that reading a document asks, and not the document."""

    def __init__(self, error: LlmspellError) -> None:
        super().__init__(error.message)
        self.error = error


def problem_of(source: str, error: LlmspellError) -> RagProblem:
    """What is told of it."""
    return RagProblem(source=source, code=error.code, message=error.message, hint=error.hint)


def is_of_reading(error: LlmspellError) -> bool:
    """Whether reading failed by what is read, so that the next document may well be read."""
    return error.code in _OF_DOCUMENTS


def is_of_text(error: LlmspellError) -> bool:
    """Whether a model or the database refused this text, and may well take the next one."""
    return error.code in _OF_TEXTS


def is_no_document(error: LlmspellError) -> bool:
    """Whether what was read is none of the kinds that are documents, or has no text: what a directory has as well."""
    return error.code == "unsupported" or error.details.get("reason") in ("binary", "empty")
