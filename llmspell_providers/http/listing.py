"""The list of models as servers of OpenAI's and Anthropic's kind answer it: one reader, for status and for lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmspell_providers.http.fields import Misshapen, records


def listed_models(content: object) -> list[Mapping[str, Any]]:
    """The entries of a list; a server without models says null.

    Raises:
        Misshapen: it is no list of models.
    """
    # Some vendors answer with the bare list.
    if isinstance(content, list):
        return records(content, "the list")
    if not isinstance(content, Mapping) or "data" not in content:
        raise Misshapen("no list of models")
    return records(content["data"], "data")
