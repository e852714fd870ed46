"""Words that fingers know from Ollama and llm: commands that mean one of ours, and what to type for those that don't.

Pure tables and lookups; loads no command. An alias is the command that it stands for, options and help included, so
neither help nor completion lists it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

ALIASES: Mapping[str, tuple[str, ...]] = {
    # Ollama's
    "pull": ("model", "pull"),
    "list": ("model", "list"),
    "ls": ("model", "list"),
    "ps": ("model", "ps"),
    "show": ("model", "info"),
    "rm": ("model", "remove"),
    "stop": ("model", "unload"),
    "serve": ("kernel", "start"),
    # Ours without the group
    **{word: ("model", word) for word in ("load", "unload", "import", "search", "available")},
    # llm's
    "prompt": ("chat",),
    "key": ("keys",),
    "tools": ("tool",),
    "sessions": ("session",),
}
"""Top-level words and the commands that they are."""

INSTEAD: Mapping[str, str] = {
    "app": "llmspell run SCRIPT",
    "apps": "llmspell run SCRIPT",
    "backup": "llmspell state export FILE keeps state; or copy the folder ~/.llmspell while no kernel runs",
    "setup": "nothing is needed before the first command: llmspell model available",
    "providers": "llmspell model status",
    "create": "llmspell model pull file:///PATH for a file; prompt and options: llmspell chat -s TEXT -o NAME VALUE",
    "cp": "a model has one name; llmspell chat -m NAME",
    "push": "models are only pulled: llmspell model pull NAME",
    "launch": "llmspell jupyter install for notebooks; llmspell kernel start --daemon for programs",
    "signin": "llmspell keys add PROVIDER",
    "login": "llmspell keys add PROVIDER",
    "signout": "llmspell keys remove PROVIDER",
    "start": "llmspell kernel start --daemon",
    "status": "llmspell kernel status, llmspell model status",
    "logs": "llmspell session list for prompts and replies; llmspell kernel logs for a kernel's log",
    "templates": "a script is a template: llmspell run SCRIPT; a system prompt in a file: llmspell chat -s @FILE",
    "fragments": "llmspell chat PROMPT < FILE",
    "aliases": "llmspell config show models",
    "schemas": "llmspell chat PROMPT --schema FILE",
    "plugins": "llmspell model status",
    "mcp": "[mcp.servers.NAME] in the configuration, or llmspell config import-mcp FILE; then llmspell tool list",
    "install": "pip install 'llmspell[NAME]'",
    "similar": "llmspell rag search QUERY",
    "embed-multi": "llmspell rag ingest PATH keeps what is found again; vectors alone: llmspell embed --file FILE",
    "uninstall": "pip uninstall llmspell; what it keeps is in ~/.llmspell",
}
"""Commands of others that are not part of llmspell, and what to use in their place."""

INSTEAD_BELOW: Mapping[str, str] = {
    "config get": "llmspell config show KEY",
    "config list": "llmspell config show",
    "config edit": "llmspell config set KEY VALUE",
    "config remove": "llmspell config unset KEY",
    **dict.fromkeys(
        ("state set", "state put", "state add", "state save"),
        """state is set by scripts: llmspell exec 'State.set("KEY", "VALUE")'; or llmspell state import FILE --merge""",
    ),
    "state backup": "llmspell state export FILE",
    "state restore": "llmspell state import FILE",
    "workflow create": "a workflow is a file: llmspell workflow run FILE.json",
    "workflow show": "llmspell workflow list",
    "workflow status": "llmspell workflow list",
    "jupyter uninstall": "llmspell jupyter remove",
}
"""The same below a group, where the nearest of our words would be another thing or the opposite."""

_MODEL = re.compile(
    r"(?:hf\.co|huggingface\.co)/\S+|[A-Za-z][\w.+/-]*(?::[\w.+-]+(?:@[\w-]+)?|@[A-Za-z][\w-]*)", re.ASCII
)
_FILES = (".lua", ".js", ".mjs", ".py")
_WEIGHTS = (".gguf", ".safetensors")


def spelt_out(words: Sequence[str]) -> list[str]:
    """A command line below the root with our own command in place of an alias."""
    first, *rest = words
    if first == "models":
        # llm's own lists where no command follows.
        return ["model", *rest] if rest and not rest[0].startswith("-") else ["model", "list", *rest]
    if first == "run" and rest and is_model_to_run(rest[0]):
        return ["chat", *rest]
    return [*ALIASES.get(first, (first,)), *rest]


def meant_as_argument(name: str) -> str | None:
    """The hint for a first word that no command is called like: a script, a model, or what is to be said to one."""
    # Needed for a line that failed only.
    from shlex import quote

    if name.endswith(_FILES):
        return f"llmspell run {quote(name)}"
    if _MODEL.fullmatch(name):
        return f"llmspell chat {quote(name)}"
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name) is None:
        return f"to ask it: llmspell chat {quote(name)}"
    return None


def is_model_to_run(word: str) -> bool:
    """Whether `run` was meant as Ollama has it.

    Its word is a file of weights, or has a tag, a backend or the hub's address and is no file.
    """
    if word.lower().endswith(_WEIGHTS):
        return True
    return _MODEL.fullmatch(word) is not None and not word.endswith(_FILES) and not os.path.exists(word)
