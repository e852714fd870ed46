"""What a provider tells about its servers and their models, in the types of the protocol."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from llmspell_protocol.errors import ConfigError
from llmspell_protocol.extras import install_command
from llmspell_protocol.models import ChatResult, HealthStatus, LocalModel, ModelInfo, Timings
from llmspell_providers.capabilities import Capabilities
from llmspell_providers.http.probe import Probed
from llmspell_providers.http.servers import Server
from llmspell_providers.library.prefixes import known_prefixes
from llmspell_providers.remote.dialect import Ending, Listed

FORMAT = "remote"
"""What stands for the format of a file that is not here."""
_SHOWN = ("chat", "embed", "rerank", "tools")


def summary(servers: Sequence[Server], answers: Sequence[Probed]) -> HealthStatus:
    """The health of all servers as one; a provider is ready while one of them is. One answer stands for all."""
    if len(answers) == 1:
        answers = [answers[0]] * len(servers)
    up = [answer for answer in answers if answer.reason is None]
    down = [
        f"{server.shown}: {answer.reason}"
        for server, answer in zip(servers, answers, strict=True)
        if answer.reason is not None
    ]
    reasons = {answer.reason for answer in answers}
    if not up:
        reason = answers[0].reason if len(reasons) == 1 else "; ".join(down)
    else:
        reason = f"{len(up)} of {len(servers)} servers answer ({'; '.join(down)})" if down else None
    return HealthStatus(
        configured=True,
        ready=bool(up),
        available_models=max((answer.models or 0 for answer in up), default=0),
        latency_ms=up[0].latency_ms if up else None,
        base_url=", ".join(server.shown for server in servers),
        reason=reason,
    )


def local_model(listed: Listed, *, backend: str) -> LocalModel:
    """A line of a server's list."""
    return LocalModel(
        id=listed.id,
        backend=backend,
        size_bytes=listed.size_bytes,
        format=FORMAT,
        parameter_count=listed.parameter_count,
    )


def model_info(listed: Listed, can: Capabilities, *, backend: str, source: str) -> ModelInfo:
    """Everything that a server's list tells; what a model can do is what its server's interface has."""
    prefixes = known_prefixes(listed.id)
    return ModelInfo(
        id=listed.id,
        backend=backend,
        size_bytes=listed.size_bytes,
        format=FORMAT,
        parameter_count=listed.parameter_count,
        context_length=listed.context_length,
        embedding_length=listed.embedding_length,
        embed_tokens=listed.context_length if "embed" not in can.lacks else None,
        prefix_query=prefixes.query,
        prefix_passage=prefixes.passage,
        chat_template=True,
        capabilities=tuple(word for word in _SHOWN if word not in can.lacks),
        source=source,
    )


def demand_package(package: str, provider: str) -> None:
    """Raises `ConfigError` where a vendor's package is not installed; doesn't load it."""
    if importlib.util.find_spec(package) is None:
        install = install_command(package)
        reason = f"it needs the package '{package}', which is not installed: {install}"
        details = {"backend": provider, "package": package, "reason": reason}
        raise ConfigError(f"provider '{provider}': {reason}", hint=install, details=details)


def result_of(ending: Ending, model: str, backend: str, *, queue_ms: float) -> ChatResult:
    """What a finished stream has given."""
    tokens, decode_ms = ending.usage.completion_tokens, ending.times.get("decode_ms", 0.0)
    return ChatResult(
        message=ending.message,
        finish_reason=ending.finish_reason or "stop",
        usage=ending.usage,
        timings=Timings(
            queue_ms=queue_ms,
            prefill_ms=ending.times.get("prefill_ms", 0.0),
            decode_ms=decode_ms,
            tokens_per_second=tokens / (decode_ms / 1000) if tokens and decode_ms > 0 else None,
        ),
        model=model,
        backend=backend,
    )
