"""What `[tools.file_operations]` says of files: sizes, extensions, kinds of content, depths. Opens nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from llmspell_protocol.errors import Forbidden
from llmspell_protocol.tools.description import Need
from llmspell_protocol.tools.permissions import refused
from llmspell_tools.limits.file_types import HEAD_BYTES, extension_of, mismatch

_TABLE = "tools.file_operations"


class FileRules:
    """The limits that a call's files are held to; all demands raise `Forbidden`."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings

    @property
    def writes_at_once(self) -> bool:
        """Whether a new content takes the old one's place in one go."""
        return bool(self._settings.get("atomic_writes", True))

    @property
    def largest_bytes(self) -> int:
        """The largest file that may be read or written."""
        return int(self._settings.get("max_file_size", 50_000_000))

    @property
    def deepest(self) -> int:
        """How many directories deep a walk goes."""
        return int(self._settings.get("max_depth", 10))

    def demand_size(self, path: str, size: int) -> None:
        """Raises where a file would be larger than the limit."""
        if size > self.largest_bytes:
            raise too_large(path, size, self.largest_bytes)

    def demand_extension(self, name: str, path: str, kind: Need) -> None:
        """Looks at the name that a file really has: the path's may be a link's, or end with a slash."""
        extension = extension_of(name)
        blocked = {str(one).lower() for one in self._settings.get("blocked_extensions", ("exe", "dll", "so", "dylib"))}
        allowed = {str(one).lower() for one in self._settings.get("allowed_extensions", ())}
        if extension in blocked or (allowed and extension not in allowed):
            word = "blocked_extensions" if extension in blocked else "allowed_extensions"
            what = f"files that end with .{extension}" if extension else "files without an extension"
            raise refused(kind, path, why=what, setting=f"{_TABLE}.{word}")

    def demand_type(self, name: str, head: bytes, path: str | None = None) -> None:
        """Raises where what is to be written is not what the file's name says."""
        if not self._settings.get("validate_file_types", True):
            return
        why = mismatch(os.path.basename(name), head[:HEAD_BYTES])
        if why is not None:
            setting = f"{_TABLE}.validate_file_types"
            raise Forbidden(
                f"{path or name} can't be written: {why}",
                hint=f"give it the extension of its content, or set {setting} = false",
                details={"name": path or name, "setting": setting},
            )


def too_large(path: str, size: int, limit: int, setting: str = f"{_TABLE}.max_file_size") -> Forbidden:
    """The refusal of a file that is larger than a setting allows."""
    return Forbidden(
        f"{path} has {size:,} bytes, more than {limit:,}",
        hint=f"raise {setting}",
        details={"name": path, "size_bytes": size, "limit_bytes": limit, "setting": setting},
    )
