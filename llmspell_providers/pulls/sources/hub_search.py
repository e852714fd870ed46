"""The hub's search: GGUF repositories by words, read within limits, and believed in nothing that makes no sense."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmspell_protocol.areas.found_models import HubRepository
from llmspell_providers.http.bodies import ACCEPTED_ENCODINGS, read_json
from llmspell_providers.pulls.sources.hub import enter_hub
from llmspell_providers.pulls.sources.hub_client import Waiting, answered, endpoint

_ANSWER_S = 10.0
"""Of silence."""
_WHOLE_S = 20.0
_LONGEST_ID = 200
_LARGEST = 1 << 53
_BYTES_A_PARAMETER = 0.61
"""Of Q4_K_M, with the parts that stay larger: 4.9 bits."""
_EXPANDED = ("downloads", "likes", "tags", "gated", "lastModified", "gguf")


def found(words: str, limit: int) -> list[HubRepository]:
    """At most `limit` repositories, the most downloaded first.

    Raises:
        SourceFailed: offline, not reachable, or no hub.
    """
    enter_hub()
    entries = answered(lambda: _asked(words, limit), f"the search for '{words}'", Waiting(lambda _: None))
    repositories = [one for one in map(_repository, entries) if one is not None]
    return repositories[:limit]


def _asked(words: str, limit: int) -> list[Any]:
    from huggingface_hub import get_session, get_token
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]

    headers = {**build_hf_headers(token=get_token(), library_name="llmspell"), "Accept-Encoding": ACCEPTED_ENCODINGS}
    params = {
        "search": words,
        "filter": "gguf",
        "sort": "downloads",
        "direction": "-1",
        "limit": str(limit),
        "expand[]": list(_EXPANDED),
    }
    url = f"{endpoint()}/api/models"
    with get_session().stream("GET", url, headers=headers, params=params, timeout=_ANSWER_S) as response:
        hf_raise_for_status(response)
        content = read_json(response, deadline_s=_WHOLE_S)
    if not isinstance(content, list):
        raise ValueError("its reply is no JSON list")
    return content


def _repository(entry: Any) -> HubRepository | None:
    """One line of the answer; None where it has no name that can be pulled."""
    name = entry.get("id") if isinstance(entry, dict) else None
    if not isinstance(name, str) or name.count("/") != 1 or len(name) > _LONGEST_ID or not name.isprintable():
        return None
    gguf = entry.get("gguf")
    described: Mapping[str, Any] = gguf if isinstance(gguf, dict) else {}
    tags = entry.get("tags")
    licences = [
        tag.removeprefix("license:")[:100]
        for tag in (tags if isinstance(tags, list) else ())
        if isinstance(tag, str) and tag.startswith("license:")
    ]
    parameters = _count(described.get("total"))
    architecture = described.get("architecture")
    return HubRepository(
        name=f"hf.co/{name}",
        downloads=_count(entry.get("downloads")),
        license=licences[0] if licences else None,
        is_gated=bool(entry.get("gated")),
        parameter_count=parameters,
        size_bytes=None if parameters is None else round(parameters * _BYTES_A_PARAMETER),
        architecture=architecture[:100] if isinstance(architecture, str) else None,
        context_length=_count(described.get("context_length")),
        command=f"llmspell model pull hf.co/{name}",
    )


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST else None
