"""The points that the timelines look at: where in the code, when (its beginning or its end), and what that means.

Functions that move take their line here along; a test looks every one up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Stage(NamedTuple):
    """One point: `MODULE:ATTRIBUTE` (ATTRIBUTE empty: the import of the module) and `begin` or `end`."""

    place: str
    moment: str
    label: str


LEAVES = Stage("os:_exit", "begin", "everything has ended")

COMMAND: Sequence[Stage] = (
    Stage("llmspell_cli.main:", "end", "entry point imported"),
    Stage("click:", "begin", "click import begins"),
    Stage("click:", "end", "click imported"),
    Stage("llmspell_cli.root:", "end", "root of the commands imported"),
    Stage("llmspell_cli.root:_invoke", "begin", "parsing begins"),
    Stage("llmspell_cli.commands.model.status:", "begin", "command found"),
    Stage("llmspell_cli.commands.run:", "begin", "command found"),
    Stage("zmq:", "begin", "zmq import begins"),
    Stage("zmq:", "end", "zmq imported"),
    Stage("llmspell_protocol.connection:", "end", "connection information imported"),
    Stage("llmspell_protocol.client.sync:", "end", "client imported"),
    Stage("llmspell_cli.commands.model.status:", "end", "command imported"),
    Stage("llmspell_cli.commands.run:", "end", "command imported"),
    Stage("llmspell_cli.options:Command.invoke", "begin", "command called"),
    Stage("llmspell_kernel.embedded:", "end", "embedded kernel imported"),
    Stage("llmspell_kernel.embedded:EmbeddedKernel.start", "end", "kernel's thread started"),
    Stage("asyncio:", "begin", "  kernel: asyncio import begins"),
    Stage("asyncio:", "end", "  kernel: asyncio imported"),
    Stage("llmspell_kernel.embedded:EmbeddedKernel._serve", "begin", "  kernel: loop runs"),
    Stage("llmspell_kernel.scripting.launch:", "end", "  kernel: worker's launcher imported"),
    Stage("llmspell_kernel.scripting.launch:launch_early", "end", "  kernel: script worker spawned"),
    Stage("pydantic:", "begin", "  kernel: pydantic import begins"),
    Stage("llmspell_profiles.schema.values:", "begin", "  kernel: settings' values import begins"),
    Stage("llmspell_profiles.schema.settings:", "end", "  kernel: settings' tables imported"),
    Stage("llmspell_profiles.loading.loader:", "end", "  kernel: settings' loader imported"),
    Stage("llmspell_kernel.app:", "end", "  kernel: application imported"),
    Stage("llmspell_profiles.loading.loader:load_settings", "begin", "  kernel: settings are read"),
    Stage("llmspell_profiles.loading.loader:load_settings", "end", "  kernel: settings read"),
    Stage("llmspell_kernel.doors.binding:bind_sockets", "end", "  kernel: sockets bound"),
    Stage("llmspell_kernel.embedded:EmbeddedKernel.wait", "end", "kernel answers"),
    Stage("llmspell_protocol.client.sync:Client.__init__", "begin", "kernel found"),
    Stage("llmspell_protocol.client.sync:Client.connect", "begin", "client made"),
    Stage("llmspell_protocol.client.sync:Client.connect", "end", "client connected"),
    Stage("llmspell_protocol.client.sync:Client.request", "end", "request sent"),
    Stage("llmspell_protocol.client.sync:Pending.result", "end", "reply received"),
    Stage("llmspell_protocol.client.sync:Client.close", "begin", "client closes"),
    Stage("llmspell_protocol.client.sync:Client.close", "end", "client closed"),
    Stage("llmspell_kernel.embedded:EmbeddedKernel.stop", "end", "embedded kernel ended"),
    Stage("llmspell_cli.root:_invoke", "end", "command done, output written"),
    LEAVES,
)

KERNEL_START: Sequence[Stage] = (
    Stage("llmspell_kernel.__main__:", "end", "entry point imported"),
    Stage("zmq:", "begin", "zmq import begins"),
    Stage("zmq:", "end", "zmq imported"),
    Stage("asyncio:", "begin", "asyncio import begins"),
    Stage("asyncio:", "end", "asyncio imported"),
    Stage("llmspell_profiles.schema.values:", "begin", "settings' values import begins"),
    Stage("llmspell_profiles.schema.settings:", "end", "settings' tables imported"),
    Stage("llmspell_profiles.loading.loader:", "end", "settings' loader imported"),
    Stage("llmspell_kernel.app:", "end", "application imported"),
    Stage("llmspell_kernel.start:", "end", "start imported"),
    Stage("llmspell_profiles.loading.loader:load_settings", "begin", "settings are read"),
    Stage("llmspell_profiles.loading.loader:load_settings", "end", "settings read"),
    Stage("llmspell_kernel.start:Start.run", "begin", "run begins"),
    Stage("llmspell_kernel.start:Start._serve", "begin", "loop runs"),
    Stage("llmspell_kernel.doors.binding:bind_sockets", "begin", "sockets are bound"),
    Stage("llmspell_kernel.doors.binding:bind_sockets", "end", "sockets bound"),
    Stage("llmspell_kernel.app:Kernel.serve", "begin", "kernel serves"),
    Stage("llmspell_kernel.doors.router:Router._receive", "begin", "first request's frames read"),
    Stage("llmspell_kernel.doors.zmq:SocketSink.reply", "end", "first reply sent"),
    LEAVES,
)

REQUEST_AT_KERNEL: Sequence[Stage] = (
    Stage("llmspell_kernel.doors.router:Router._receive", "begin", "kernel: frames read"),
    Stage("llmspell_kernel.doors.zmq:ZmqDoor._receive", "begin", "kernel: checked and decoded"),
    Stage("llmspell_kernel.dispatch:Dispatcher.submit", "end", "kernel: task made"),
    Stage("llmspell_kernel.dispatch:Dispatcher._answer", "begin", "kernel: task runs"),
    Stage("llmspell_protocol.calls:Calls.open", "end", "kernel: sent to the script worker"),
    Stage("llmspell_kernel.scripting.scope:Scope._submit", "begin", "kernel: script's request read"),
    Stage("llmspell_kernel.scripting.scope:_PipeSink.reply", "end", "kernel: script's reply sent"),
    Stage("llmspell_protocol.calls:Calls._take", "begin", "kernel: script worker's frame read"),
    Stage("llmspell_kernel.doors.zmq:SocketSink.delta", "begin", "kernel: first delta"),
    Stage("llmspell_kernel.doors.zmq:SocketSink.delta", "end", "kernel: first delta sent"),
    Stage("llmspell_kernel.dispatch:Dispatcher._answer", "end", "kernel: handler done"),
    Stage("llmspell_kernel.doors.zmq:SocketSink.reply", "end", "kernel: reply sent"),
    LEAVES,
)

REQUEST_AT_CLIENT: Sequence[Stage] = (
    Stage("llmspell_protocol.client.sync:Client.request", "begin", "client: request"),
    Stage("llmspell_protocol.client.core:ClientCore.request", "end", "client: encoded and signed"),
    Stage("llmspell_protocol.client.sync:Client.request", "end", "client: sent"),
    Stage("llmspell_protocol.client.core:ClientCore.receive", "begin", "client: first frames read"),
    Stage("llmspell_protocol.client.core:ClientCore.receive", "end", "client: last frames decoded"),
    Stage("llmspell_protocol.client.sync:Pending.result", "end", "client: reply"),
)

LAST = frozenset({"client: last frames decoded", "kernel: script worker's frame read"})
"""Stages that a request may reach several times and whose last time counts; of all others the first."""
