"""How Ollama gets onto a machine: what would be run, and running it when asked to."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Sequence

from llmspell_protocol.areas.model import ModelInstallOllamaReply
from llmspell_protocol.errors import Unavailable, Unsupported
from llmspell_protocol.exit_status import ending

DOWNLOAD_PAGE = "https://ollama.com/download"
_COMMANDS = {
    "linux": ("sh", "-c", "curl -fsSL https://ollama.com/install.sh | sh"),
    "darwin": ("brew", "install", "ollama"),
}
_VERSION_DEADLINE_S = 5.0
_SHOWN_LINES = 20


async def install_ollama(*, execute: bool, platform: str = sys.platform) -> ModelInstallOllamaReply:
    """Says how Ollama is installed here, and with `execute` does it, unless it is there already.

    Raises:
        Unsupported: this platform has no command for it.
        Unavailable: the command failed; `details.output` has its last lines.
    """
    command = _COMMANDS.get(platform)
    if command is None:
        raise Unsupported(
            f"Ollama can't be installed from here on {platform}",
            hint=f"download it from {DOWNLOAD_PAGE}",
            details={"platform": platform},
        )
    binary = shutil.which("ollama")
    executed = False
    if execute and binary is None:
        output = await _run(command)
        executed = True
        binary = shutil.which("ollama")
        if binary is None:
            # A shell whose script could not be fetched has nothing to do and ends well.
            raise _failed(command, "ended without an 'ollama' on PATH", output)
    return ModelInstallOllamaReply(
        platform="macos" if platform == "darwin" else platform,
        instructions=(command[-1] if command[0] == "sh" else " ".join(command),),
        installed=binary is not None,
        version=await _version(binary) if binary is not None else None,
        executed=executed,
    )


async def _run(command: Sequence[str]) -> str:
    if shutil.which(command[0]) is None:
        raise Unavailable(
            f"'{command[0]}' is not installed, which the installation of Ollama needs",
            hint=f"download it from {DOWNLOAD_PAGE}",
        )
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = await _output_of(process)
    if process.returncode:
        raise _failed(command, f"ended {ending(process.returncode)}", output)
    return output


def _failed(command: Sequence[str], what: str, output: str) -> Unavailable:
    lines = output.splitlines()[-_SHOWN_LINES:]
    return Unavailable(
        f"the installation of Ollama {what}: {lines[-1] if lines else 'no output'}",
        hint=f"run it in a terminal: {command[-1] if command[0] == 'sh' else ' '.join(command)}",
        details={"output": lines},
    )


async def _version(binary: str) -> str | None:
    process = await asyncio.create_subprocess_exec(
        binary,
        "--version",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(_VERSION_DEADLINE_S):
            words = (await _output_of(process)).split()
    except TimeoutError:
        return None
    # "ollama version is 0.12.3", or, without a server, a warning and "client version is 0.12.3".
    return next((word for word in reversed(words) if word[:1].isdigit()), None)


async def _output_of(process: asyncio.subprocess.Process) -> str:
    try:
        output, _ = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    return output.decode("utf-8", "replace")
