"""Every key of the schema either does something or says that it has no effect.

For each key that does, the table below names the module or package that reads it, which must really read an attribute
of that name. A new key fails until it is in the table or is marked as idle; a key that is not read any more fails too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from llmspell_profiles.schema.schema_keys import Key, all_keys, known_providers
from llmspell_profiles.schema.table import IdleTable
from llmspell_protocol.models import SAMPLING

ROOT = Path(__file__).parents[3]

KERNEL = "llmspell_kernel"
STATE = "llmspell_kernel/services/state"
COMMANDS = "llmspell_cli"
REGISTRY = "llmspell_providers/registry.py"
CANDLE = "llmspell_providers/candle"
OLLAMA = "llmspell_providers/ollama"
REMOTE = "llmspell_providers/remote"
HTTP = "llmspell_providers/http"
PROFILES = "profiles/llmspell_profiles"
TOOLS = "llmspell_tools"
HOOKS = "llmspell_kernel/services/hooks"
EVENTS = "llmspell_kernel/services/events"
RAG = "llmspell_kernel/services/rag"

READ_BY = {
    "cli.connect": COMMANDS,
    "cli.autostart": COMMANDS,
    "extends": PROFILES,
    "engines.lua.stdlib": KERNEL,
    "engines.lua.max_memory_bytes": KERNEL,
    "engines.lua.timeout_ms": KERNEL,
    "runtime.max_concurrent_scripts": KERNEL,
    "runtime.sessions.enabled": KERNEL,
    "runtime.sessions.max_sessions": KERNEL,
    "runtime.sessions.max_age_seconds": KERNEL,
    "runtime.sessions.max_bytes": KERNEL,
    "runtime.sessions.max_artifacts_per_session": KERNEL,
    "runtime.sessions.artifact_compression_threshold": KERNEL,
    "runtime.sessions.session_timeout_seconds": KERNEL,
    "runtime.sessions.storage_backend": KERNEL,
    "runtime.sessions.path": KERNEL,
    "runtime.script_timeout_seconds": KERNEL,
    "runtime.log_level": KERNEL,
    "runtime.security.allow_file_access": KERNEL,
    "runtime.security.allow_pull_addresses": KERNEL,
    "runtime.security.allow_process_spawn": KERNEL,
    "runtime.security.allow_network_access": KERNEL,
    "tools.enabled": KERNEL,
    "tools.workers": KERNEL,
    "tools.approval": KERNEL,
    "tools.rate_limit_per_minute": KERNEL,
    "tools.permissions.read": KERNEL,
    "tools.permissions.write": KERNEL,
    "tools.permissions.net": KERNEL,
    "tools.permissions.run": KERNEL,
    "tools.permissions.env": KERNEL,
    "tools.file_operations.enabled": KERNEL,
    "tools.file_operations.allowed_paths": KERNEL,
    "tools.http_request.allowed_hosts": KERNEL,
    "tools.http_request.blocked_hosts": KERNEL,
    "tools.web_search.rate_limit_per_minute": KERNEL,
    "tools.email.rate_limit_per_minute": KERNEL,
    "tools.media.processing_timeout_seconds": KERNEL,
    "tools.data.processing_timeout_seconds": KERNEL,
    "tools.system.allow_process_execution": KERNEL,
    "tools.system.allowed_commands": KERNEL,
    "tools.system.allowed_env_vars": KERNEL,
    "tools.system.max_output_size": KERNEL,
    "runtime.security.max_memory_bytes": KERNEL,
    "runtime.security.max_execution_time_ms": KERNEL,
    "runtime.state_persistence.enabled": STATE,
    "runtime.state_persistence.backend_type": STATE,
    "runtime.state_persistence.path": STATE,
    "runtime.state_persistence.migration_enabled": STATE,
    "runtime.state_persistence.backup_on_migration": STATE,
    "runtime.state_persistence.backup_enabled": STATE,
    "runtime.state_persistence.schema_directory": STATE,
    "runtime.state_persistence.max_state_size_bytes": STATE,
    "runtime.state_persistence.backup.backup_dir": STATE,
    "runtime.state_persistence.backup.compression_enabled": STATE,
    "runtime.state_persistence.backup.compression_type": STATE,
    "runtime.state_persistence.backup.compression_level": STATE,
    "runtime.state_persistence.backup.max_backups": STATE,
    "runtime.state_persistence.backup.max_backup_age": STATE,
    "hooks.enabled": HOOKS,
    "hooks.rate_limit_per_minute": HOOKS,
    "hooks.timeout_ms": HOOKS,
    "hooks.max_hooks": HOOKS,
    "hooks.builtin": HOOKS,
    "hooks.logging.level": HOOKS,
    "hooks.rate_limit.per_minute": HOOKS,
    "hooks.caching.components": HOOKS,
    "hooks.caching.ttl_seconds": HOOKS,
    "hooks.caching.max_entries": HOOKS,
    "hooks.cost_tracking.input_prices": HOOKS,
    "hooks.cost_tracking.output_prices": HOOKS,
    "hooks.cost_tracking.budget_usd": HOOKS,
    "hooks.retry.max_attempts": HOOKS,
    "hooks.retry.delay_ms": HOOKS,
    "hooks.security.max_parameter_length": HOOKS,
    "hooks.security.block": HOOKS,
    "events.enabled": EVENTS,
    "events.buffer_size": EVENTS,
    "events.emit_timing_events": EVENTS,
    "events.emit_state_events": EVENTS,
    "events.emit_debug_events": EVENTS,
    "events.max_events_per_second": EVENTS,
    "events.filtering.include_types": EVENTS,
    "events.filtering.exclude_types": EVENTS,
    "events.filtering.include_components": EVENTS,
    "events.filtering.exclude_components": EVENTS,
    "events.export.stdout": EVENTS,
    "events.export.file": EVENTS,
    "events.export.webhook": EVENTS,
    "events.export.pretty_json": EVENTS,
    "kernel.host": KERNEL,
    "kernel.port": KERNEL,
    "kernel.transport": KERNEL,
    "kernel.max_clients": KERNEL,
    "kernel.idle_timeout_seconds": KERNEL,
    "kernel.drain_timeout_seconds": KERNEL,
    "kernel.log_rotate_size": KERNEL,
    "kernel.log_rotate_count": KERNEL,
    "kernel.log_format": KERNEL,
    "kernel.history_cells": KERNEL,
    "kernel.security.curve": KERNEL,
    "kernel.security.allow_remote": KERNEL,
    "models.memory_budget_bytes": REGISTRY,
    "models.embedding": REGISTRY,
    "models.keep_alive": REGISTRY,
    "models.max_queue": REGISTRY,
    "models.pin": KERNEL,
    "models.stream_window_ms": CANDLE,
    "models.prompt_cache_bytes": CANDLE,
    "models.worker_memory_bytes": CANDLE,
    "providers.default_provider": PROFILES,
    "providers.NAME.provider_type": REGISTRY,
    "providers.NAME.enabled": PROFILES,
    "providers.NAME.default_model": REGISTRY,
    "providers.openai.base_url": REMOTE,
    "providers.openai.base_urls": REMOTE,
    "providers.openai.api_key": PROFILES,
    "providers.openai.api_key_env": PROFILES,
    "providers.openai.timeout_seconds": REMOTE,
    "providers.openai.max_retries": PROFILES,
    "providers.openai.retry.max_retries": PROFILES,
    "providers.openai.retry.initial_delay_ms": HTTP,
    "providers.openai.retry.max_delay_ms": HTTP,
    "providers.openai.retry.backoff_multiplier": HTTP,
    "providers.openai.rate_limit.requests_per_minute": HTTP,
    "providers.openai.rate_limit.tokens_per_minute": HTTP,
    "providers.openai.rate_limit.auto_retry": HTTP,
    "providers.ollama.base_url": OLLAMA,
    "providers.ollama.timeout_seconds": OLLAMA,
    "providers.ollama.default_backend": REGISTRY,
    "providers.ollama.auto_start": OLLAMA,
    "providers.ollama.health_check_interval_seconds": OLLAMA,
    "providers.ollama.max_retries": PROFILES,
    "providers.ollama.retry.max_retries": PROFILES,
    "providers.ollama.retry.initial_delay_ms": HTTP,
    "providers.ollama.retry.max_delay_ms": HTTP,
    "providers.ollama.retry.backoff_multiplier": HTTP,
    "providers.ollama.rate_limit.requests_per_minute": HTTP,
    "providers.ollama.rate_limit.tokens_per_minute": HTTP,
    "providers.ollama.rate_limit.auto_retry": HTTP,
    "providers.candle.timeout_seconds": CANDLE,
    "providers.candle.default_backend": REGISTRY,
    "providers.candle.model_directory": CANDLE,
    "providers.candle.device": CANDLE,
    "providers.candle.max_concurrent": CANDLE,
    "providers.candle.default_quantization": CANDLE,
    "providers.candle.cpu_threads": CANDLE,
    "providers.candle.context_size": CANDLE,
    "providers.candle.batch_size": CANDLE,
    "providers.candle.use_flash_attention": CANDLE,
    "providers.candle.engine": CANDLE,
    "providers.candle.server_path": CANDLE,
    "providers.candle.spin_count": CANDLE,
    "providers.candle.speculation": CANDLE,
    "rag.enabled": RAG,
    "rag.multi_tenant": RAG,
    "rag.vector_storage.dimensions": RAG,
    "rag.vector_storage.persistence_path": RAG,
    "rag.vector_storage.max_memory_mb": RAG,
    "rag.vector_storage.quantization": RAG,
    "rag.vector_storage.max_documents": RAG,
    "rag.vector_storage.max_storage_mb": RAG,
    "rag.vector_storage.hnsw.m": RAG,
    "rag.vector_storage.hnsw.ef_construction": RAG,
    "rag.vector_storage.hnsw.ef_search": RAG,
    "rag.vector_storage.hnsw.max_elements": RAG,
    "rag.vector_storage.hnsw.metric": RAG,
    "rag.vector_storage.hnsw.allow_replace_deleted": RAG,
    "rag.vector_storage.hnsw.num_threads": RAG,
    "rag.vector_storage.hnsw.parallel_batch_size": RAG,
    "rag.vector_storage.hnsw.enable_mmap": RAG,
    "rag.vector_storage.hnsw.mmap_sync_interval": RAG,
    "rag.embedding.default_provider": RAG,
    "rag.embedding.cache_enabled": RAG,
    "rag.embedding.cache_size": RAG,
    "rag.embedding.cache_ttl_seconds": RAG,
    "rag.embedding.batch_size": RAG,
    "rag.embedding.timeout_seconds": RAG,
    "rag.embedding.max_retries": RAG,
    "rag.chunking.strategy": RAG,
    "rag.chunking.chunk_size": RAG,
    "rag.chunking.overlap": RAG,
    "rag.chunking.max_chunk_size": RAG,
    "rag.chunking.min_chunk_size": RAG,
    "rag.cache.search_cache_enabled": RAG,
    "rag.cache.search_cache_size": RAG,
    "rag.cache.search_cache_ttl_seconds": RAG,
    "rag.cache.document_cache_enabled": RAG,
    "rag.cache.document_cache_size_mb": RAG,
    "rag.debug.enable_debug_logging": RAG,
    "rag.debug.log_all_operations": RAG,
    "rag.debug.save_debug_dumps": RAG,
    "rag.debug.debug_dump_path": RAG,
    "rag.performance.enable_metrics": RAG,
    "rag.performance.metrics_interval_seconds": RAG,
    "rag.performance.log_slow_operations": RAG,
    "rag.performance.slow_operation_threshold_ms": RAG,
    "rag.monitoring.enable_metrics": RAG,
    "rag.monitoring.enable_health_checks": RAG,
    "rag.monitoring.alert_on_errors": RAG,
    "rag.monitoring.error_threshold_per_minute": RAG,
    "rag.security.enable_audit_logging": RAG,
    "rag.security.audit_log_path": RAG,
    "rag.security.enable_rate_limiting": RAG,
    "rag.security.rate_limit_per_user": RAG,
    "rag.security.enable_input_validation": RAG,
    "rag.security.max_input_size_kb": RAG,
}
"""Each key and the package, or the one module, that reads it; `NAME` stands for every provider."""

FILLED_UP_BY = {"openai": REMOTE, "ollama": OLLAMA, "candle": CANDLE}
"""Where the sampling options that a request leaves out are taken from the provider's table, by their list."""

ONE_VALUE = {"kernel.security.hmac", "rag.vector_storage.backend"}
"""What can only be written as it is."""

TABLES_WITHOUT_A_READER = {
    ("engines", "javascript"),
    ("settings", "debug"),
}

# All vendors in the cloud have the class of openai.
PROVIDER_KINDS = {name: known_providers()[name] for name in ("openai", "ollama", "candle")}
KEYS = list(all_keys(PROVIDER_KINDS))


SHARED_NAMES = {"name", "security_level"} | {key.path[-1] for key in KEYS if not key.idle}
"""What an attribute of something else may be called too."""


def reader_of(key: Key) -> str | None:
    kind = key.path[1] if key.path[0] == "providers" else ""
    if kind in FILLED_UP_BY and len(key.path) == 3 and key.path[2] in SAMPLING:
        return FILLED_UP_BY[kind]
    if key.path[0] == "tools" and not key.idle:
        return READ_BY.get(key.name, TOOLS)
    return READ_BY.get(key.name) or READ_BY.get(of_every_provider(key))


def of_every_provider(key: Key) -> str:
    return ".".join(("providers", "NAME", *key.path[2:])) if key.path[0] == "providers" else ""


@cache
def read_in(path: str) -> set[str]:
    """The attributes and string keys that a package's modules read, and the lists of names that they go through."""
    modules = (ROOT / path).rglob("*.py") if (ROOT / path).is_dir() else [ROOT / path]
    return {name for module in modules for name in _names_read(ast.parse(module.read_text()))}


def _names_read(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name, ctx=ast.Load()) | ast.Name(id=name, ctx=ast.Load()):
                yield name
            case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(str(name)), *_]):
                yield name
            case ast.Call(func=ast.Name(id="getattr") | ast.Attribute(attr="get"), args=[*_, ast.Constant(str(name))]):
                yield name
            case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(str(name)), _]):
                yield name
            case ast.Subscript(slice=ast.Constant(str(name)), ctx=ast.Load()):
                yield name


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_a_key_is_read_or_says_that_it_has_no_effect(key: Key) -> None:
    reader = reader_of(key)
    if key.idle:
        assert reader is None, f"{key.name} is marked as idle, and {reader} reads it"
    elif key.name not in ONE_VALUE:
        assert reader is not None, f"{key.name} is neither marked as idle nor in the table of this test"
        name = "SAMPLING" if key.path[-1] in SAMPLING else key.path[-1]
        assert name in read_in(reader), f"{reader} reads no {name}"


def test_the_table_names_no_key_that_is_gone() -> None:
    names = {key.name for key in KEYS} | {of_every_provider(key) for key in KEYS}
    assert set(READ_BY) <= names
    assert names >= ONE_VALUE


def modules() -> Iterator[Path]:
    for package in ("llmspell_kernel", "llmspell_providers", "llmspell_cli"):
        yield from (ROOT / package).rglob("*.py")


def test_a_key_that_is_marked_as_idle_is_read_nowhere() -> None:
    """One with a mark of its own and a name that nothing else has; a table that is idle is not even looked at."""
    marked = [key for key in KEYS if key.idle and not key.in_idle and not issubclass(key.table, IdleTable)]
    own_mark = {key.path[-1] for key in marked} - SHARED_NAMES
    assert "enable_streaming" in own_mark
    for module in modules():
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Attribute):
                assert node.attr not in own_mark, f"{module} reads {node.attr}"
                assert (_last_name(node.value), node.attr) not in TABLES_WITHOUT_A_READER, f"{module} reads {node.attr}"


def _last_name(node: ast.expr) -> str:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name.lstrip("_")
