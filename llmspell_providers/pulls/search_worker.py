"""The process that asks the hub what it has: `python -m llmspell_providers.pulls.search_worker`. One question."""

from __future__ import annotations

from llmspell_protocol.child import connect_parent
from llmspell_protocol.content import to_content
from llmspell_protocol.errors import LlmspellError, SourceUnavailable
from llmspell_protocol.incidents import incident_in_worker
from llmspell_providers.pulls.parent_watch import end_with_parent


def main() -> None:
    """Takes one `search {words, limit}` from the parent and answers `found {repositories}` or `error`."""
    pipe = connect_parent()
    asked = pipe.receive() or {}
    end_with_parent(pipe)
    try:
        # Imported after the pipe is watched: the hub's library takes half a second.
        from llmspell_providers.pulls.sources.hub_search import found
        from llmspell_providers.pulls.sources.remote import SourceFailed

        try:
            repositories = found(asked["words"], asked["limit"])
        except SourceFailed as error:
            kind = error.kind or SourceUnavailable
            raise kind(
                f"The hub can't be searched: {error.reason}",
                hint=error.hint or "check the network; llmspell model available lists what is known without one",
                details=error.details,
            ) from None
        pipe.send({"op": "found", "repositories": [to_content(one) for one in repositories]})
    except LlmspellError as error:
        pipe.send({"op": "error", "error": error.to_content()})
    except Exception as error:  # noqa: BLE001 - the worker's boundary: whatever it is, the kernel is told
        wrapped = incident_in_worker(error, f"The search failed: {type(error).__name__}: {error}")
        pipe.send({"op": "error", "error": wrapped.to_content()})


if __name__ == "__main__":
    main()
