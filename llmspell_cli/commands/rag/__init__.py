"""`llmspell rag …`: documents that are found again, and answers from them; a module a command."""

from __future__ import annotations

from llmspell_cli.groups import LazyGroup

_HERE = "llmspell_cli.commands.rag"

rag = LazyGroup(
    "rag",
    {
        "ingest": (f"{_HERE}.ingest:ingest", "Take in files, directories and pages of the web."),
        "search": (f"{_HERE}.search:search", "Find the passages that fit a question."),
        "ask": (f"{_HERE}.ask:ask", "Let a model answer from the passages."),
        "list": (f"{_HERE}.list:list_documents", "Show the documents of a collection."),
        "collections": (f"{_HERE}.collections:collections", "Show what collections there are."),
        "stats": (f"{_HERE}.stats:stats", "Show how much there is and what was done."),
        "delete": (f"{_HERE}.delete:delete", "Remove documents."),
        "clear": (f"{_HERE}.clear:clear", "Remove a whole collection."),
        "rebuild": (f"{_HERE}.rebuild:rebuild", "Make an index anew, or with another model."),
    },
    aliases={
        "add": "ingest",
        "index": "ingest",
        "find": "search",
        "query": "search",
        "ls": "list",
        "show": "list",
        "rm": "delete",
        "remove": "delete",
        "status": "stats",
        "reindex": "rebuild",
    },
    help="Find passages in documents, and answer questions from them.",
    examples=(
        ("llmspell rag ingest docs", "every document in a directory"),
        ('llmspell rag search "open a port"', "the passages that fit"),
        ('llmspell rag ask "How do I open a port?"', "an answer with its sources"),
        ("llmspell rag collections", "what there is"),
    ),
)
