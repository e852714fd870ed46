"""`llmspell model …`: models of all backends; a module a command."""

from __future__ import annotations

from llmspell_cli.groups import LazyGroup

_HERE = "llmspell_cli.commands.model"

model = LazyGroup(
    "model",
    {
        "list": (f"{_HERE}.list:list_models", "Show installed models."),
        "pull": (f"{_HERE}.pull:pull", "Download a model."),
        "import": (f"{_HERE}.import_model:import_model", "Use models that are on this machine."),
        "remove": (f"{_HERE}.remove:remove", "Delete a model."),
        "info": (f"{_HERE}.info:info", "Show what is known about a model."),
        "default": (f"{_HERE}.default:default", "Show or set the default model."),
        "available": (f"{_HERE}.available:available", "Show models that can be pulled."),
        "search": (f"{_HERE}.search:search", "Search Hugging Face."),
        "status": (f"{_HERE}.status:status", "Show whether backends can be used."),
        "install-ollama": (f"{_HERE}.install_ollama:install_ollama", "Install Ollama."),
        "load": (f"{_HERE}.load:load", "Load a model into a running kernel."),
        "unload": (f"{_HERE}.unload:unload", "Unload models."),
        "ps": (f"{_HERE}.ps:ps", "Show loaded models."),
        "verify": (f"{_HERE}.verify:verify", "Compare files with their checksums."),
    },
    aliases={"ls": "list", "rm": "remove", "delete": "remove", "show": "info", "stop": "unload"},
    help="List, pull, load and inspect models.",
    examples=(
        ("llmspell model available", "what can be pulled"),
        ("llmspell model pull smollm2:135m", "download"),
        ("llmspell model list -v", "what is installed"),
    ),
)
