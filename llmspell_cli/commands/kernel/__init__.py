"""`llmspell kernel …`: kernels on this machine, and the connected one."""

from __future__ import annotations

from llmspell_cli.groups import LazyGroup

kernel = LazyGroup(
    "kernel",
    {
        "start": ("llmspell_cli.commands.kernel.start:start", "Start a kernel."),
        "stop": ("llmspell_cli.commands.kernel.stop:stop", "Stop kernels."),
        "status": ("llmspell_cli.commands.kernel.status:status", "Show running kernels."),
        "connect": ("llmspell_cli.commands.kernel.connect:connect", "Open the repl on a running kernel."),
        "logs": ("llmspell_cli.commands.kernel.logs:logs", "Show a kernel's log."),
        "install-service": (
            "llmspell_cli.commands.kernel.install_service:install_service",
            "Let systemd or launchd run a kernel.",
        ),
        "uninstall-service": (
            "llmspell_cli.commands.kernel.uninstall_service:uninstall_service",
            "Remove such a service.",
        ),
    },
    aliases={"ls": "status", "list": "status", "ps": "status"},
    help="Start, stop and watch kernels.",
    examples=(
        ("llmspell -p candle kernel start --daemon", "in the background"),
        ("llmspell run script.lua", "a script on it"),
        ("llmspell kernel stop", "ends it"),
    ),
)
