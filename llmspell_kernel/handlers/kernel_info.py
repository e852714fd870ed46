"""`kernel_info_request`: what this kernel is and speaks; answered on shell and on control."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from llmspell_kernel.request import Reply, Request
from llmspell_kernel.scripting.engines import DEFAULT
from llmspell_protocol.areas import AREA_OF
from llmspell_protocol.messages import JUPYTER_VERSION, PROTOCOL_VERSION
from llmspell_protocol.version import VERSION

FEATURES = (*AREA_OF, "isolated_execute", "execute_deltas", "iopub_welcome", "history")

JUPYTER_FEATURES = ("debugger", "kernel subshells")
"""Optional features of the messaging protocol (JEP 92)."""


class KernelInfoHandler:
    """Answers `kernel_info_request`."""

    def __init__(self, backends: Callable[[], Sequence[str]], drains: Callable[[], bool]) -> None:
        self._backends = backends
        self._drains = drains

    async def __call__(self, request: Request) -> Reply:
        """Jupyter's fields and, under `llmspell`, ours."""
        python = sys.version_info
        return Reply(
            {
                "protocol_version": JUPYTER_VERSION,
                "implementation": "llmspell",
                "implementation_version": VERSION,
                "language_info": dict(DEFAULT.language_info),
                "banner": f"llmspell {VERSION} ({DEFAULT.version}, Python {python.major}.{python.minor})",
                "help_links": [],
                "supported_features": list(JUPYTER_FEATURES),
                "debugger": True,
                "llmspell": {
                    "version": VERSION,
                    "protocol": PROTOCOL_VERSION,
                    "features": list(FEATURES),
                    "backends": list(self._backends()),
                    "draining": self._drains(),
                },
            }
        )
