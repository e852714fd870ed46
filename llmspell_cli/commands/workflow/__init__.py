"""`llmspell workflow …`: workflows from files, and those that were cut; a module a command."""

from __future__ import annotations

from llmspell_cli.groups import LazyGroup

_HERE = "llmspell_cli.commands.workflow"

workflow = LazyGroup(
    "workflow",
    {
        "run": (f"{_HERE}.run:run", "Run a workflow from a file."),
        "resume": (f"{_HERE}.resume:resume", "Go on with one that was cut."),
        "list": (f"{_HERE}.list:list_runs", "Show those that run or were cut."),
        "cancel": (f"{_HERE}.cancel:cancel", "End one that runs."),
        "discard": (f"{_HERE}.discard:discard", "Forget one that was cut."),
    },
    aliases={"ls": "list", "execute": "run", "stop": "cancel", "delete": "discard"},
    help="Run workflows, resume those that were cut.",
    examples=(
        ("llmspell workflow run report.json", "from a file"),
        ("llmspell workflow run report.json --watch", "and see its steps"),
        ("llmspell workflow list", "which run, or were cut"),
        ("llmspell workflow resume ID", "go on with one"),
    ),
)
