"""The libraries of the extra `rag`: imported where one is needed, or told how they are installed."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from llmspell_protocol.errors import Unsupported


def library(module: str, package: str, what: str) -> ModuleType:
    """A module of the extra; `what` is what can't be done without it ("searching by meaning").

    Raises:
        Unsupported: it isn't installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != module.split(".")[0]:
            raise
        from llmspell_protocol.extras import install_command

        raise Unsupported(
            f"{what} needs {package}, which is not installed",
            hint=install_command("rag"),
            details={"package": package, "extra": "rag"},
        ) from None
