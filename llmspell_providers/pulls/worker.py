"""The process that pulls one model: an order in, progress and one outcome out. Its pipe ends it and what it started."""

from __future__ import annotations

from llmspell_protocol.child import connect_parent
from llmspell_protocol.content import to_content
from llmspell_protocol.errors import LlmspellError, OutOfMemory
from llmspell_protocol.incidents import incident_in_worker
from llmspell_protocol.pulls import PullProgress
from llmspell_protocol.worker_memory import PULL_BYTES, is_for_want_of_memory
from llmspell_providers.pulls.order import PullOrder
from llmspell_providers.pulls.parent_watch import end_with_parent


def main() -> None:
    """Takes one order from the parent and carries it out."""
    pipe = connect_parent()
    order = PullOrder.from_frame(pipe.receive() or {})
    end_with_parent(pipe)

    def report(progress: PullProgress) -> None:
        pipe.send({"op": "progress", "progress": to_content(progress)})

    try:
        # Imported after the pipe is watched: httpx2 takes a while, and a cancel must not wait for it.
        from llmspell_providers.pulls.sources.job import Job

        result = Job(order, report).run()
        pipe.send({"op": "done", "result": to_content(result)})
    except LlmspellError as error:
        pipe.send({"op": "error", "error": error.to_content()})
    except Exception as error:  # noqa: BLE001 - the worker's boundary: whatever it is, the kernel is told
        pipe.send({"op": "error", "error": _wrapped(error, order).to_content()})


def _wrapped(error: Exception, order: PullOrder) -> LlmspellError:
    if not is_for_want_of_memory(error):
        return incident_in_worker(error, f"The pull of '{order.id}' failed: {type(error).__name__}: {error}")
    return OutOfMemory(
        f"The pull of '{order.id}' took more memory than it may ({PULL_BYTES / 1e6:,.0f} MB) and was ended",
        hint="what the source sends, or what the file says about itself, is larger than of any real model: "
        "choose another source",
        details={"model": order.id, "limit_bytes": PULL_BYTES},
    )


if __name__ == "__main__":
    main()
