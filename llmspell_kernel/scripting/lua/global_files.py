"""Which Lua files a script's globals are made of, and which of them are read only when they are needed."""

from __future__ import annotations

GROUND = (
    "core.lua",
    "last_value.lua",
    "globals/levels.lua",
    "globals/requests.lua",
    "globals/keys.lua",
    "streams.lua",
    "programs.lua",
    "stdlib.lua",
    "display.lua",
    "introspect.lua",
)
GLOBALS = {
    "JSON": ("json.lua",),
    "Logger": ("logger.lua",),
    "Utils": ("utils.lua",),
    "Streaming": ("streaming.lua",),
    "Debug": ("debug.lua",),
    "Replay": ("replay.lua",),
    "LocalLLM": ("local_llm_chat.lua", "local_llm.lua"),
    "Agent": (
        "agent_builder.lua",
        "agent_text.lua",
        "agent_turns.lua",
        "agent_tools.lua",
        "agent_states.lua",
        "agent_notes.lua",
        "agent_shared.lua",
        "agent_kinds.lua",
        "agent.lua",
    ),
    "Tool": ("tool_output.lua", "tool.lua"),
    "State": ("state_copies.lua", "state.lua"),
    "Workflow": ("workflow.lua",),
    "Event": ("event.lua",),
    "Hook": ("hook.lua",),
}
"""Each global and its files, in the order they need each other; the last one returns the global."""
LATE_GLOBALS = {
    "Config": (
        "config.lua",
        "get getDefaultEngine getProvider listProviders getSecurity getTools getSection isFileAccessAllowed"
        " isNetworkAccessAllowed isProcessSpawnAllowed getPermissions addAllowedPath setProvider setSecurity snapshot"
        " restoreSnapshot toJson",
    ),
    "Provider": ("provider.lua", "list get getCapabilities isAvailable"),
    "Session": (
        "session.lua",
        "create get list save complete suspend resume delete load get_current set_current setCurrent can_replay"
        " list_replayable replay get_replay_metadata builder",
    ),
    "Notebook": ("notebook.lua", "page set_next_input help"),
    "Artifact": ("artifact.lua", "store store_file get delete list query"),
    "RAG": (
        "rag.lua",
        "ingest ingest_batch search ask configure get_stats save cleanup_scope clear delete list collections rebuild"
        " create_session_collection configure_session list_providers",
    ),
    "Comm": ("comm.lua", "new register_target unregister_target list"),
    "Progress": ("progress.lua", "new each"),
}
"""Globals whose file is read when one of their functions is first called, and these functions."""
LATE_TABLES = {"RAG": "config"}
"""Of these, fields that are tables: a function of the file gives what stands in them now."""
OF_SESSIONS = frozenset({"Session", "Artifact"})
"""Globals that are there where sessions are on."""
OF_RAG = frozenset({"RAG"})
"""Globals that are there where RAG is on."""
FUNCTIONS = {"display": "make_display", "update_display": "update_display", "clear_output": "clear_output"}
"""Globals that are functions, and what they are called on Lua's side."""
ALSO = {"Tools": "Tool"}
"""Further names of globals."""
