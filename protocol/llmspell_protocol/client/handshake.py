"""The first exchange of a connection: is there a kernel, does it accept the key, do we speak its protocol?

Says what to do and when, and never waits. kernel_info goes out on the shell at once; while no reply comes, the
heartbeat (which is not signed) and kernel_info on control are tried too. Heartbeat alone: the key is wrong. Control
alone: a kernel of another make that is busy with a cell. Nothing: no kernel.
"""

from __future__ import annotations

from typing import Any

from llmspell_protocol.client.core import ClientCore, Exchange
from llmspell_protocol.client.links import Links
from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.errors import KernelUnreachable, LlmspellError, Unauthorized, Unsupported
from llmspell_protocol.messages import METADATA_KEY, PROTOCOL_VERSION

_PROBE_AT = 0.25
_VERDICT_AT = 0.75
"""Fractions of the time allowed: when to try the other channels, and when an answering heartbeat is proof enough."""


class Handshake:
    """One attempt; call `step(now)` whenever something came or `wake_at` has passed, until it returns True."""

    def __init__(self, info: ConnectionInfo, core: ClientCore, links: Links, *, timeout_s: float, now: float) -> None:
        self._info = info
        self._core = core
        self._links = links
        self._end = now + timeout_s
        self._verdict = now + timeout_s * _VERDICT_AT
        self._over_control: Exchange | None = None
        self.kernel_info: dict[str, Any] = {}
        """The kernel's own description, once `step` has returned True."""
        self.wake_at = now + timeout_s * _PROBE_AT
        self._over_shell, frames = core.request("kernel_info_request", {})
        links.send("shell", frames)

    def step(self, now: float) -> bool:
        """Whether the kernel has answered.

        Raises:
            KernelUnreachable: refused, no reply, or something else than a kernel.
            Unauthorized: it lives but drops what this key signs.
            Unsupported: it speaks a newer major version of the protocol.
        """
        if self._answered():
            return True
        if now < self.wake_at:
            return False
        if self._over_control is None:
            self._links.probe_heartbeat()
            self._over_control, frames = self._core.request("kernel_info_request", {}, channel="control")
            self._links.send("control", frames)
            self.wake_at = self._verdict
        elif self._links.heartbeat_answered or now >= self._end:
            raise self._failure()
        else:
            self.wake_at = self._end
        return self._answered()

    def _answered(self) -> bool:
        if self._links.lost is not None:
            raise self._links.lost
        for exchange in (self._over_shell, self._over_control):
            if exchange is not None and exchange.reply is not None:
                self.kernel_info = exchange.reply.content
                self._check_version()
                return True
        if self._over_shell.error is not None:
            raise self._over_shell.error
        return False

    def _failure(self) -> LlmspellError:
        address = self._info.address
        if self._links.heartbeat_answered:
            return Unauthorized(
                f"the kernel at {address} does not accept the key",
                hint="take the connection file or URL of the kernel that runs there now: llmspell kernel status --url",
                details={"address": address},
            )
        return KernelUnreachable(
            f"no reply from {address}",
            hint="`llmspell kernel status` lists the kernels that run; start one: llmspell kernel start",
            details={"address": address, "cause": "no reply"},
        )

    def _check_version(self) -> None:
        theirs = str((self.kernel_info.get(METADATA_KEY) or {}).get("protocol", PROTOCOL_VERSION))
        major, ours = theirs.partition(".")[0], PROTOCOL_VERSION.partition(".")[0]
        if major.isdecimal() and int(major) > int(ours):
            raise Unsupported(
                f"the kernel at {self._info.address} speaks protocol {theirs}, this client {PROTOCOL_VERSION}",
                hint="update llmspell on this machine",
                details={
                    "kernel": theirs,
                    "client": PROTOCOL_VERSION,
                    "address": self._info.address,
                    "kernel_info": self.kernel_info,
                },
            )
