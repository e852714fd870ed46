"""Short names of variables: which key each one sets, beside the name by the rule `LLMSPELL_SECTION__KEY`.

Those of provider tables follow a pattern and are in `environment.py`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from llmspell_profiles.problems import KeyPath, SettingError

_TABLES = {
    "runtime": {
        "MAX_CONCURRENT_SCRIPTS": "max_concurrent_scripts",
        "SCRIPT_TIMEOUT_SECONDS": "script_timeout_seconds",
        "ALLOW_FILE_ACCESS": "security.allow_file_access",
        "ALLOW_NETWORK_ACCESS": "security.allow_network_access",
        "ALLOW_PROCESS_SPAWN": "security.allow_process_spawn",
        "MAX_MEMORY_BYTES": "security.max_memory_bytes",
        "MAX_EXECUTION_TIME_MS": "security.max_execution_time_ms",
    },
    "runtime.state_persistence": {
        "STATE_ENABLED": "enabled",
        "STATE_BACKEND": "backend_type",
        "STATE_PATH": "path",
        "STATE_MIGRATION_ENABLED": "migration_enabled",
        "STATE_BACKUP_ENABLED": "backup_enabled",
        "STATE_BACKUP_ON_MIGRATION": "backup_on_migration",
        "STATE_BACKUP_DIR": "backup.backup_dir",
        "STATE_MAX_SIZE_BYTES": "max_state_size_bytes",
    },
    "runtime.sessions": {
        "SESSIONS_ENABLED": "enabled",
        "SESSIONS_BACKEND": "storage_backend",
        "SESSIONS_MAX": "max_sessions",
        "SESSIONS_MAX_ARTIFACTS": "max_artifacts_per_session",
        "SESSIONS_TIMEOUT_SECONDS": "session_timeout_seconds",
    },
    "hooks": {"HOOKS_ENABLED": "enabled", "HOOKS_RATE_LIMIT": "rate_limit_per_minute"},
    "rag": {"RAG_ENABLED": "enabled"},
    "events": {
        "EVENTS_ENABLED": "enabled",
        "EVENTS_BUFFER_SIZE": "buffer_size",
        "EVENTS_MAX_EVENTS_PER_SECOND": "max_events_per_second",
        "EVENTS_EMIT_TIMING_EVENTS": "emit_timing_events",
        "EVENTS_EMIT_STATE_EVENTS": "emit_state_events",
        "EVENTS_EMIT_DEBUG_EVENTS": "emit_debug_events",
        "EVENTS_FILTERING_INCLUDE_TYPES": "filtering.include_types",
        "EVENTS_FILTERING_EXCLUDE_TYPES": "filtering.exclude_types",
        "EVENTS_FILTERING_INCLUDE_COMPONENTS": "filtering.include_components",
        "EVENTS_FILTERING_EXCLUDE_COMPONENTS": "filtering.exclude_components",
        "EVENTS_EXPORT_STDOUT": "export.stdout",
        "EVENTS_EXPORT_FILE": "export.file",
        "EVENTS_EXPORT_WEBHOOK": "export.webhook",
        "EVENTS_EXPORT_PRETTY_JSON": "export.pretty_json",
    },
    "debug": {"DEBUG": "enabled", "DEBUG_LEVEL": "level", "DEBUG_PERFORMANCE": "performance.enabled"},
    "tools": {
        "TOOLS_ENABLED": "enabled",
        "TOOLS_RATE_LIMIT": "rate_limit_per_minute",
        "TOOLS_FILE_OPS_ENABLED": "file_operations.enabled",
        "TOOLS_MAX_FILE_SIZE": "file_operations.max_file_size",
        "TOOLS_ALLOWED_PATHS": "file_operations.allowed_paths",
        "TOOLS_NETWORK_TIMEOUT": "network.timeout_seconds",
        "TOOLS_NETWORK_MAX_RETRIES": "network.max_retries",
        "TOOLS_NETWORK_VERIFY_SSL": "network.verify_ssl",
        "TOOLS_WEB_USER_AGENT": "web_tools.user_agent",
        "TOOLS_WEB_MAX_REDIRECTS": "web_tools.max_redirects",
        "TOOLS_WEB_SCRAPING_DELAY": "web_tools.scraping_delay_ms",
        "TOOLS_WEB_ALLOWED_DOMAINS": "web_tools.allowed_domains",
        "TOOLS_WEB_BLOCKED_DOMAINS": "web_tools.blocked_domains",
        "TOOLS_MEDIA_MAX_SIZE": "media.max_file_size",
        "TOOLS_MEDIA_PROCESSING_TIMEOUT": "media.processing_timeout_seconds",
        "TOOLS_MEDIA_IMAGE_MAX_DIMENSIONS": "media.image_max_dimensions",
        "TOOLS_DB_CONNECTION_TIMEOUT": "database.connection_timeout_seconds",
        "TOOLS_DB_MAX_CONNECTIONS": "database.max_connections",
        "TOOLS_DB_ALLOWED_HOSTS": "database.allowed_hosts",
        "TOOLS_EMAIL_SMTP_HOST": "email.smtp_host",
        "TOOLS_EMAIL_SMTP_PORT": "email.smtp_port",
        "TOOLS_EMAIL_FROM_ADDRESS": "email.from_address",
        "TOOLS_EMAIL_RATE_LIMIT": "email.rate_limit_per_minute",
        "TOOLS_SYSTEM_ALLOW_PROCESS_EXEC": "system.allow_process_execution",
        "TOOLS_SYSTEM_ALLOWED_COMMANDS": "system.allowed_commands",
        "TOOLS_SYSTEM_MAX_OUTPUT_SIZE": "system.max_output_size",
        "TOOLS_DATA_MAX_CSV_SIZE": "data.max_csv_size",
        "TOOLS_DATA_MAX_JSON_DEPTH": "data.max_json_depth",
        "TOOLS_ACADEMIC_CITATION_API_KEY": "academic.citation_api_key",
        "TOOLS_ACADEMIC_MAX_REFERENCES": "academic.max_references",
        "TOOLS_DOC_MAX_PDF_SIZE": "document.max_pdf_size",
        "TOOLS_DOC_EXTRACT_IMAGES": "document.extract_images",
        "TOOLS_SEARCH_ENGINE": "search.default_engine",
        "TOOLS_SEARCH_MAX_RESULTS": "search.max_results",
        "TOOLS_SEARCH_API_KEY": "search.api_key",
    },
}

ALIASES: dict[str, KeyPath] = {
    f"LLMSPELL_{name}": tuple(f"{table}.{key}".split("."))
    for table, names in _TABLES.items()
    for name, key in names.items()
}
"""Names for one key outside the provider tables."""


def _debug_outputs(variable: str, text: str) -> dict[KeyPath, Any]:
    """`stdout,colored,file:PATH`: what is named is on, the rest is off."""
    values: dict[KeyPath, Any] = {("debug", "output", "stdout"): False, ("debug", "output", "colored"): False}
    for word in filter(None, (part.strip() for part in text.split(","))):
        if word in ("stdout", "colored"):
            values["debug", "output", word] = True
        elif word.startswith("file:"):
            values["debug", "output", "file", "path"] = word.removeprefix("file:")
        else:
            raise SettingError(
                f"{variable}: expected stdout, colored or file:PATH, got '{word}' (sets debug.output)",
                details={"variable": variable, "key": "debug.output"},
                place=variable,
                path=("debug", "output"),
            )
    return values


def _debug_modules(variable: str, text: str) -> dict[KeyPath, Any]:
    """`+glob,-glob`: only these modules, never these; without a sign as with `+`."""
    globs = [part.strip() for part in text.split(",") if part.strip()]
    never = [glob.removeprefix("-") for glob in globs if glob.startswith("-")]
    only = [glob.removeprefix("+") for glob in globs if not glob.startswith("-")]
    return {("debug", "module_filters", "enabled"): only, ("debug", "module_filters", "disabled"): never}


SEVERAL: Mapping[str, Callable[[str, str], dict[KeyPath, Any]]] = {
    "LLMSPELL_DEBUG_OUTPUT": _debug_outputs,
    "LLMSPELL_DEBUG_MODULES": _debug_modules,
}
"""Names that set several keys at once: from the variable's name and text to their values."""
