"""The door of a notebook that shares a kernel: five sockets of its own, which may end before the kernel does."""

from __future__ import annotations

import zmq

from llmspell_kernel.doors.binding import bind_sockets, remove_socket_files
from llmspell_kernel.doors.zmq import ZmqDoor
from llmspell_kernel.identity import KeyRing
from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.rights import ALL_CAPABILITIES

RIGHTS = ALL_CAPABILITIES - {"admin"}
"""What is asked through it steers the notebook and its models, never the kernel that others share."""


class NotebookDoor(ZmqDoor):
    """A door at the addresses of a frontend's connection file. Raises as `bind_sockets`."""

    def __init__(self, info: ConnectionInfo, context: zmq.Context[zmq.Socket[bytes]], notebook: str) -> None:
        bound, sockets = bind_sockets(info, context)
        super().__init__(bound, sockets, KeyRing(info.key.encode(), capabilities=RIGHTS), notebook)
        self._info = bound

    def close(self) -> None:
        """Closes the sockets, and removes their files where they are files."""
        super().close()
        remove_socket_files(self._info)
