"""What has become of documents that were to be taken in: a line for people, and the error where some were not."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from llmspell_cli.commands.rag.origins import Origins
from llmspell_cli.commands.rag.requests import Place
from llmspell_cli.session import Content
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.text import size
from llmspell_protocol.errors import ERRORS, LlmspellError, NotFound, exit_status
from llmspell_protocol.rag.problems import problem_line

_NAMED = 5
"""Files that are named of those that are no documents."""
_ALLOWED = re.compile(r"^allow it with --allow-\S+, or (?=(for every call )?)")


def show_taken(output: Output, reply: Content, place: Place, told: Collection[str] = ()) -> None:
    """The result of an ingest; `told` is what was said on the way."""
    if output.json:
        output.document(reply)
        return
    parts = [part for part in _counts(reply) if part]
    if parts:
        passages = f"{reply['chunks']} passages" if reply["chunks"] != 1 else "1 passage"
        written = f", {passages} written" if reply["chunks"] else ""
        output.line(f"✓ {place.words[:1].upper()}{place.words[1:]}: {', '.join(parts)}{written}")
    skipped: Sequence[Content] = reply["skipped"]
    for problem in skipped[:_NAMED]:
        output.note(f"skipped {problem['source']}: {problem['message']}")
    if len(skipped) > _NAMED:
        output.note(f"skipped {len(skipped) - _NAMED} more that are no documents; --json lists all")
    failed: Sequence[Content] = reply["failed"]
    if len(failed) > 1:  # One alone is the error.
        for problem in failed[:_NAMED]:
            if _line(problem) not in told:
                output.note(f"not taken in: {_line(problem)}")


def _line(problem: Content) -> str:
    return problem_line(problem["source"], problem["message"])


def _counts(reply: Content) -> Iterator[str]:
    added, changed = int(reply["added"]), int(reply["changed"])
    yield f"{added} {'document' if added == 1 else 'documents'} added" if added else ""
    yield f"{changed} changed" if changed else ""
    yield f"{reply['unchanged']} unchanged" if reply["unchanged"] else ""
    yield f"{reply['removed']} removed" if reply["removed"] else ""


def failure(reply: Content, origins: Origins, place: Place, told: Collection[str] = ()) -> LlmspellError | None:
    """The error of a request whose documents were not all taken in, or that found none; None where all is well."""
    failed: Sequence[Content] = reply["failed"]
    if failed:
        worst = max(failed, key=lambda problem: exit_status(problem["code"]))
        if all(_line(problem) in told for problem in failed):
            message = "1 document was" if len(failed) == 1 else f"{len(failed)} documents were"
            message += " not taken in"
        else:
            others = f"; {len(failed) - 1} more were not taken in either" if len(failed) > 1 else ""
            message = _line(worst) + others
        kind = ERRORS.get(worst["code"], LlmspellError)
        details: dict[str, object] = {"failed": list(failed), "taken": len(reply["ids"])}
        if worst["code"] in ("not_found", "forbidden"):
            details["path"] = worst["source"]
        # What is allowed is a setting here: this command has no such option.
        hint = (
            None
            if worst["hint"] is None
            else _ALLOWED.sub(lambda found: "allow it " if found[1] else "", worst["hint"])
        )
        return kind(message, hint=hint, details=details)
    if reply["ids"] or reply["removed"]:
        return None
    named = ", ".join([*origins.paths, *origins.urls]) or "standard input"
    return NotFound(
        f"there is no document in {named}",
        hint="--include and --exclude choose files; text, Markdown, HTML, PDF, DOCX, CSV, JSON and code can be read",
        details={"paths": list(origins.paths), "collection": place.collection},
    )


def removed_text(reply: Content) -> str:
    """What was removed, in a line: `3 documents (120 passages, 1.2 MB freed)`."""
    documents = "1 document" if reply["documents"] == 1 else f"{reply['documents']:,} documents"
    passages = "1 passage" if reply["chunks"] == 1 else f"{reply['chunks']:,} passages"
    freed = f", {size(reply['bytes_freed'])} freed" if reply["bytes_freed"] else ""
    return f"{documents} ({passages}{freed})"
