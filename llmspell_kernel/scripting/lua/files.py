"""Which files a script may touch: modules below its own directory and the working directory, others by permission.

Paths are resolved first, so that neither `..` nor a link leads out.
"""

from __future__ import annotations

import os
import stat

from llmspell_kernel.scripting.lua.refusals import Refusal, refusal

MAX_SOURCE_BYTES = 10_000_000
_ELSEWHERE = "modules need a kernel on this machine"


class Files:
    """The places of one execution. Without directories (a caller on another machine) nothing can be read.

    `access` says whether `io.open` and its like may read and write below the directories.
    """

    def __init__(
        self, script_directory: str | None = None, working_directory: str | None = None, access: bool = False
    ) -> None:
        self.script_directory = script_directory
        self.working_directory = working_directory
        self.access = access
        self._temporary: set[str] = set()

    @property
    def search_path(self) -> str:
        """What `package.path` is at first."""
        entries = ["./?.lua", "./?/init.lua"]
        if self.script_directory is not None:
            entries += [f"{self.script_directory}/?.lua", f"{self.script_directory}/?/init.lua"]
        return ";".join(entries)

    def read_module(self, path: str) -> tuple[bytes, str]:
        """The source of a Lua file and the name of its chunk.

        Raises:
            Refusal: it is outside, missing, too large or no file.
        """
        real = self._resolve(path)
        try:
            with open(real, "rb") as file:
                source = file.read(MAX_SOURCE_BYTES + 1)
        except (OSError, ValueError):
            raise refusal("not_found", f"cannot open {path}") from None
        if len(source) > MAX_SOURCE_BYTES:
            raise refusal("not_found", f"{path} is longer than {MAX_SOURCE_BYTES} bytes")
        return without_shebang(source), f"@{path.removeprefix('./')}"

    def find_module(self, name: str, templates: str) -> tuple[bytes, str, str]:
        """A module by `package.path`: source, chunk name and path.

        Raises:
            Refusal: no template leads to a file; the message lists what was tried, in Lua's form.
        """
        tried = []
        for template in templates.split(";"):
            path = template.replace("?", name.replace(".", "/"))
            if not path:
                continue
            try:
                source, chunk = self.read_module(path)
            except Refusal as refused:
                if refused.message == _ELSEWHERE:
                    tried = [f"\n\t{_ELSEWHERE}"]
                    break
                denied = refused.message.startswith("Path not allowed")
                tried.append(f"\n\t{refused.message}" if denied else f"\n\tno file '{path}'")
                continue
            return source, chunk, path
        raise refusal("not_found", "".join(tried))

    def path_for(self, path: str, purpose: str) -> str:
        """The real path of a file that may be used for `read`, `write` or, as a directory's entry, `entry`.

        Raises:
            Refusal: it may not.
        """
        if not self.access:
            raise refusal(
                "not_found",
                f"Path not allowed: {path} (files of scripts are switched off)",
                hint="set runtime.security.allow_file_access = true, or use a profile that does",
            )
        if path in self._temporary:
            return path
        real = self._resolve(path, follow=purpose != "entry")
        try:
            mode = os.stat(real).st_mode
        except OSError:
            return real
        if purpose != "entry" and not stat.S_ISREG(mode):
            raise refusal("not_found", f"Path not allowed: {path} is not a plain file")
        return real

    def temporary_name(self) -> str:
        """A path for a file that doesn't exist yet; the script may use it as its own."""
        directory = os.environ.get("TMPDIR") or "/tmp"
        path = f"{directory}/lua_{os.urandom(8).hex()}"
        self._temporary.add(path)
        return path

    def _resolve(self, path: str, *, follow: bool = True) -> str:
        roots = [root for root in (self.script_directory, self.working_directory) if root is not None]
        if not roots:
            raise refusal("not_found", _ELSEWHERE)
        if "\0" in path:
            raise refusal("not_found", "Path not allowed: it contains a zero byte")
        full = os.path.join(self.working_directory or roots[0], path)
        if follow:
            real = os.path.realpath(full)
        else:
            real = os.path.join(os.path.realpath(os.path.dirname(full)), os.path.basename(full))
        for root in roots:
            base = os.path.realpath(root)
            if real == base or real.startswith(base.rstrip("/") + "/"):
                return real
        raise refusal(
            "not_found", f"Path not allowed: {path} is neither below the script's directory nor the working directory"
        )


def without_shebang(source: bytes) -> bytes:
    """The source with a first line `#!…` made empty; the lines keep their numbers."""
    if not source.startswith(b"#"):
        return source
    end = source.find(b"\n")
    return source[end:] if end >= 0 else b""
