"""Where a builtin profile's paths outside the home directory go on a machine that doesn't let them be written."""

import os
from pathlib import Path
from typing import Any

from llmspell_profiles.problems import KeyPath

_BELOW_HOME = {
    ("rag", "vector_storage", "persistence_path"): "rag/vectors",
    ("rag", "security", "audit_log_path"): "logs/rag-audit.log",
    ("rag", "backup", "backup_path"): "rag/backup",
}


def moved(data: dict[str, Any], home: Path) -> list[KeyPath]:
    """Puts what can't be written below llmspell's own directory, and returns the keys in question."""
    keys: list[KeyPath] = []
    for path, place in _BELOW_HOME.items():
        table: Any = data
        for name in path[:-1]:
            table = table.get(name, {})
        if path[-1] in table and not is_writable(Path(table[path[-1]])):
            table[path[-1]] = str(home / place)
            keys.append(path)
    return keys


def is_writable(path: Path) -> bool:
    """Whether a file or directory of this name could be made, or be written if it is there."""
    # Of os.path: what stands in a directory that this user may not enter isn't there for them.
    if os.path.exists(path):
        return os.access(path, os.W_OK)
    above = next(each for each in path.parents if os.path.exists(each))
    return above.is_dir() and os.access(above, os.W_OK | os.X_OK)
