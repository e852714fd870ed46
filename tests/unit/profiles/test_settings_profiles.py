"""The builtin profiles: each has exactly the values that the documentation promises, and starts."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from llmspell_profiles.loading.loader import LoadedSettings, load_settings
from llmspell_profiles.loading.profiles import PROFILE_NAMES, PROFILES, SHORT_NAMES, ZERO_CONFIGURATION, profile_path
from llmspell_profiles.loading.writable_paths import is_writable
from llmspell_profiles.schema.schema_keys import all_keys, known_providers, value_at


def load(cwd: Path, profile: str | None, **env: str) -> LoadedSettings:
    return load_settings(profile=profile, env={"HOME": "/home/someone", **env}, cwd=cwd)


def provider(name: str, model: str, max_tokens: int, **more: object) -> dict[str, object]:
    values = {
        "provider_type": name,
        "api_key_env": f"{name.upper()}_API_KEY",
        "default_model": model,
        "temperature": 0.7,
        "max_tokens": max_tokens,
        **more,
    }
    return {f"providers.{name}.{key}": value for key, value in values.items()}


def clouds(openai: str, anthropic: str, max_tokens: int, **more: object) -> dict[str, object]:
    return {
        "providers.default_provider": "openai",
        **provider("openai", openai, max_tokens, **more),
        **provider("anthropic", anthropic, max_tokens, **more),
    }


def table(prefix: str, **values: object) -> dict[str, object]:
    return {f"{prefix}.{key}": value for key, value in values.items()}


EXACTLY: dict[str, dict[str, Any]] = {
    "minimal": {
        "engines.lua.stdlib": "Basic",
        "runtime.log_level": "warn",
        "runtime.security.allow_file_access": True,
        "runtime.security.allow_network_access": False,
        "runtime.security.allow_process_spawn": False,
    },
    "development": {
        "runtime.log_level": "debug",
        **clouds("gpt-4", "claude-3-5-sonnet-20241022", 4000, timeout_seconds=60),
        "debug.enabled": True,
        "debug.level": "debug",
        "engines.lua.enable_debug": True,
        "engines.lua.max_memory_bytes": 50_000_000,
        "engines.lua.timeout_ms": 30_000,
        "runtime.security.max_memory_bytes": 50_000_000,
        "runtime.security.max_execution_time_ms": 300_000,
    },
    "ollama": {
        "runtime.log_level": "info",
        "providers.ollama.provider_type": "ollama",
        "providers.ollama.enabled": True,
        "providers.ollama.base_url": "http://localhost:11434",
        "providers.ollama.timeout_seconds": 120,
        "providers.ollama.default_model": "llama3.1:8b",
        "providers.ollama.auto_start": True,
        "providers.ollama.health_check_interval_seconds": 60,
        "providers.ollama.default_backend": "ollama",
    },
    "candle": {
        "runtime.log_level": "info",
        "providers.candle.provider_type": "candle",
        "providers.candle.enabled": True,
        "providers.candle.timeout_seconds": 300,
        "providers.candle.default_model": "smollm2:135m",
        "providers.candle.model_directory": Path("/home/someone/.llmspell/models/candle"),
        "providers.candle.device": "auto",
        "providers.candle.max_concurrent": 4,
        "providers.candle.default_quantization": "Q4_K_M",
        "providers.candle.cpu_threads": 0,
        "providers.candle.context_size": "auto",
        "providers.candle.batch_size": 256,
        "providers.candle.use_flash_attention": True,
    },
    "rag-development": {
        "runtime.log_level": "debug",
        **clouds("gpt-3.5-turbo", "claude-3-haiku-20240307", 2000),
        "providers.candle.provider_type": "candle",
        "rag.enabled": True,
        "rag.multi_tenant": False,
        **table("rag.vector_storage", dimensions=384, backend="hnsw", persistence_path=None, max_memory_mb=512),
        **table("rag.vector_storage.hnsw", m=8, ef_construction=50, ef_search=25, max_elements=10_000, metric="cosine"),
        **table("rag.vector_storage.hnsw", allow_replace_deleted=True, num_threads=2),
        **table("rag.embedding", default_provider="openai", cache_enabled=False, cache_size=100, cache_ttl_seconds=60),
        **table("rag.embedding", batch_size=4, timeout_seconds=10, max_retries=1),
        **table("rag.chunking", strategy="sliding_window", chunk_size=256, overlap=32),
        **table("rag.chunking", max_chunk_size=1024, min_chunk_size=50),
        **table("rag.cache", search_cache_enabled=False, search_cache_size=10, search_cache_ttl_seconds=30),
        **table("rag.cache", document_cache_enabled=False, document_cache_size_mb=10),
        **table("rag.debug", enable_debug_logging=True, log_all_operations=True, save_debug_dumps=True),
        "rag.debug.debug_dump_path": Path("debug/rag"),
    },
    "rag-production": {
        "runtime.log_level": "info",
        **clouds("gpt-4", "claude-3-5-sonnet-20241022", 4000),
        "providers.candle.provider_type": "candle",
        "rag.enabled": True,
        "rag.multi_tenant": True,
        **table("rag.vector_storage", dimensions=768, backend="hnsw", max_memory_mb=4096),
        "rag.vector_storage.persistence_path": Path("/var/lib/llmspell/rag/vectors"),
        **table("rag.vector_storage.hnsw", m=16, ef_construction=200, ef_search=50, max_elements=5_000_000),
        **table("rag.vector_storage.hnsw", metric="cosine", allow_replace_deleted=True, num_threads=4),
        **table("rag.embedding", default_provider="openai", cache_enabled=True, cache_size=20_000),
        **table("rag.embedding", cache_ttl_seconds=1800, batch_size=32, timeout_seconds=45, max_retries=3),
        **table("rag.chunking", strategy="sliding_window", chunk_size=512, overlap=64),
        **table("rag.chunking", max_chunk_size=2048, min_chunk_size=100),
        **table("rag.cache", search_cache_enabled=True, search_cache_size=5000, search_cache_ttl_seconds=600),
        **table("rag.cache", document_cache_enabled=True, document_cache_size_mb=256),
        **table("rag.monitoring", enable_metrics=True, metrics_export_interval=60, enable_health_checks=True),
        **table("rag.monitoring", alert_on_errors=True, error_threshold_per_minute=10),
        **table("rag.security", enable_audit_logging=True, enable_rate_limiting=True, rate_limit_per_user=100),
        **table("rag.security", enable_input_validation=True, max_input_size_kb=100),
        "rag.security.audit_log_path": Path("/var/log/llmspell/rag-audit.log"),
        **table("rag.backup", enable_auto_backup=True, backup_interval_hours=24, backup_retention_days=30),
        "rag.backup.backup_path": Path("/backup/llmspell/rag"),
    },
    "rag-performance": {
        "runtime.log_level": "info",
        "providers.default_provider": "openai",
        **provider("openai", "gpt-4", 4000),
        "providers.candle.provider_type": "candle",
        "rag.enabled": True,
        "rag.multi_tenant": False,
        **table("rag.vector_storage", dimensions=1536, backend="hnsw", max_memory_mb=8192),
        "rag.vector_storage.persistence_path": Path("/mnt/fast-ssd/rag/vectors"),
        **table("rag.vector_storage.hnsw", m=48, ef_construction=500, ef_search=200, max_elements=50_000_000),
        **table("rag.vector_storage.hnsw", metric="cosine", allow_replace_deleted=False, num_threads=16),
        **table("rag.embedding", default_provider="openai", cache_enabled=True, cache_size=100_000),
        **table("rag.embedding", cache_ttl_seconds=86_400, batch_size=128, timeout_seconds=120, max_retries=2),
        **table("rag.chunking", strategy="sliding_window", chunk_size=1024, overlap=256),
        **table("rag.chunking", max_chunk_size=4096, min_chunk_size=200),
        **table("rag.cache", search_cache_enabled=True, search_cache_size=50_000, search_cache_ttl_seconds=3600),
        **table("rag.cache", document_cache_enabled=True, document_cache_size_mb=2048),
        **table("rag.performance", enable_metrics=True, metrics_interval_seconds=60),
        **table("rag.performance", log_slow_operations=True, slow_operation_threshold_ms=100),
    },
    "providers": {
        "runtime.log_level": "info",
        **clouds("gpt-3.5-turbo", "claude-3-haiku-20240307", 2000, timeout_seconds=60),
    },
    "state": {
        "runtime.log_level": "info",
        **table("runtime.state_persistence", enabled=True, backend_type="memory", max_state_size_bytes=10_000_000),
        **table("runtime.state_persistence", migration_enabled=False, backup_enabled=False),
    },
    "sessions": {
        "runtime.log_level": "info",
        **table("runtime.state_persistence", enabled=True, backend_type="memory", max_state_size_bytes=10_000_000),
        **table("runtime.sessions", enabled=True, max_sessions=100, max_artifacts_per_session=1000),
        **table("runtime.sessions", session_timeout_seconds=3600, storage_backend="memory"),
        **table("hooks", enabled=True, max_hooks=100),
        **table("events", enabled=True, buffer_size=1000),
    },
}
"""What each sets, beside the engine and Lua's library that all set."""

OUTSIDE_HOME = {
    "rag.vector_storage.persistence_path": "rag/vectors",
    "rag.security.audit_log_path": "logs/rag-audit.log",
    "rag.backup.backup_path": "rag/backup",
}


def promised(name: str, cwd: Path) -> dict[str, Any]:
    values = {"default_engine": "lua", "engines.lua.stdlib": "All"} | EXACTLY[name]
    for key, value in values.items():
        if isinstance(value, Path):
            values[key] = cwd / value
            if key in OUTSIDE_HOME and not is_writable(value):
                values[key] = Path("/home/someone/.llmspell") / OUTSIDE_HOME[key]
    return values


@pytest.mark.parametrize("name", PROFILE_NAMES)
def test_a_profile_sets_its_keys_and_leaves_the_rest_at_the_defaults(tmp_path: Path, name: str) -> None:
    loaded = load(tmp_path, name)
    (tmp_path / "llmspell.toml").write_text("")
    defaults = load(tmp_path, None).settings
    values = promised(name, tmp_path)
    assert (loaded.profile, loaded.source) == (name, None)
    told = [remark for remark in loaded.remarks if "can't be written on this machine" not in remark.text]
    assert told == []
    providers = {each: known_providers()[each] for each in loaded.settings.providers.tables}
    for key in all_keys(providers):
        value = value_at(loaded.settings, key.path)
        if key.name in values:
            assert value == values[key.name], key.name
        elif key.path[0] != "providers":
            assert value == value_at(defaults, key.path), key.name
    assert set(providers) == {key.split(".")[1] for key in values if key.count(".") == 2 and key[:10] == "providers."}


def leaves(data: dict[str, Any], path: str = "") -> set[str]:
    return {
        leaf
        for name, value in data.items()
        for leaf in (leaves(value, f"{path}{name}.") if isinstance(value, dict) else {path + name})
    }


@pytest.mark.parametrize("name", PROFILE_NAMES)
def test_a_profiles_file_has_no_key_beyond_those(name: str) -> None:
    written = leaves(tomllib.loads(profile_path(name).read_text()))
    expected = {"default_engine", "engines.lua.stdlib"} | {
        key for key, value in EXACTLY[name].items() if value is not None
    }
    assert written == expected


@pytest.mark.parametrize("name", PROFILE_NAMES)
def test_a_file_may_extend_each_profile(tmp_path: Path, name: str) -> None:
    (tmp_path / "llmspell.toml").write_text(f"extends = '{name}'\nkernel.port = 9600")
    loaded = load(tmp_path, None)
    assert (loaded.profile, loaded.settings.kernel.port) == (name, 9600)
    assert loaded.settings.runtime == load(tmp_path, name).settings.runtime


def test_names_and_their_order() -> None:
    assert tuple(EXACTLY) == PROFILE_NAMES
    assert SHORT_NAMES == {
        "rag-dev": "rag-development",
        "rag-prod": "rag-production",
        "rag-perf": "rag-performance",
    }


@pytest.mark.parametrize(("short", "name"), SHORT_NAMES.items())
def test_a_short_name_means_the_same_profile(tmp_path: Path, short: str, name: str) -> None:
    assert load(tmp_path, short).profile == name
    assert load(tmp_path, short).settings == load(tmp_path, name).settings


def test_the_list_of_profiles_tells_what_each_is_for() -> None:
    described = {profile.name: (profile.category, profile.description) for profile in PROFILES}
    assert described == {
        "minimal": ("Core", "Tools only, no LLM providers"),
        "development": ("Core", "Verbose logging, debugging enabled"),
        "ollama": ("Local LLM", "Ollama local LLM backend"),
        "candle": ("Local LLM", "Candle local LLM backend"),
        "rag-development": ("RAG", "RAG development settings"),
        "rag-production": ("RAG", "RAG production settings"),
        "rag-performance": ("RAG", "RAG performance settings"),
        "providers": ("Common Workflows", "OpenAI/Anthropic provider setup"),
        "state": ("Common Workflows", "State persistence with memory backend"),
        "sessions": ("Common Workflows", "Sessions + state + hooks + events"),
    }
    assert all(profile.use_cases and profile.features for profile in PROFILES)


def test_the_zero_configuration_has_the_values_of_both_local_profiles() -> None:
    def tables(name: str) -> dict[str, Any]:
        providers: dict[str, Any] = tomllib.loads(profile_path(name).read_text())["providers"]
        return providers

    ollama = tables("ollama")["ollama"] | {"auto_start": False}
    del ollama["default_backend"]
    expected = {"default_provider": "candle", "candle": tables("candle")["candle"], "ollama": ollama}
    assert tomllib.loads(profile_path(ZERO_CONFIGURATION).read_text()) == {"providers": expected}


def test_a_path_below_a_file_can_not_be_written_and_a_new_one_below_a_directory_can(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert is_writable(tmp_path / "file")
    assert is_writable(tmp_path / "new" / "directory")
    assert not is_writable(tmp_path / "file" / "new")
