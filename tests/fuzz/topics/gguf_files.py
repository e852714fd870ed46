"""GGUF files with changed, cut and doubled bytes and lying counts: read or refused, and a load that fails says why."""

import asyncio
import struct
from pathlib import Path
from random import Random

from llmspell_protocol.errors import LlmspellError, ModelLoadFailed
from llmspell_providers.candle.process import Launch, ModelProcess
from llmspell_providers.candle.trial_model import trial_model
from llmspell_providers.library.gguf import read_gguf
from tests.fuzz.trial import Trial
from tests.support.gguf_files import gguf_file
from tests.support.hostile_templates import SOUND

LOADED_EACH = 20
"""One in so many is loaded, which takes half a second."""
LOAD_MEMORY_BYTES = 700 << 20
LOAD_WITHIN_S = 60.0
NUMBERS = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)


def run(trial: Trial) -> None:
    """Tries one file after the other."""
    models = [trial_model({"tokenizer.chat_template": SOUND[0]}), gguf_file(4096)]
    path = trial.directory / "m.gguf"
    read = 0
    while trial.more():
        data = mutated(trial.random, trial.random.choice(models))
        path.write_bytes(data)
        try:
            read_gguf(path)
        except ModelLoadFailed as error:
            if not error.hint:
                raise AssertionError(f"no hint: {error}") from error
            continue
        read += 1
        if read % LOADED_EACH == 0:
            _load(path, trial)


def mutated(random: Random, data: bytes) -> bytes:
    """The file with one to four changes, most of them in its header."""
    for _ in range(random.randrange(1, 5)):
        at = random.randrange(min(len(data), 6000)) if random.random() < 0.9 else random.randrange(len(data))
        match random.randrange(6):
            case 0:
                data = data[:at] + bytes([random.randrange(256)]) + data[at + 1 :]
            case 1:
                data = data[:at] + struct.pack("<Q", random.choice(NUMBERS)) + data[at + 8 :]
            case 2:
                data = data[:at] + struct.pack("<I", random.choice(NUMBERS) & 0xFFFFFFFF) + data[at + 4 :]
            case 3:
                data = data[:at]
            case 4:
                data = data[:at] + data[at : at + random.randrange(64)] * 2 + data[at:]
            case _:
                data = data[:8] + struct.pack("<QQ", random.choice(NUMBERS), random.choice(NUMBERS)) + data[24:]
        if not data:
            return b"G"
    return data


def _load(path: Path, trial: Trial) -> None:
    launch = Launch(
        engine="xllamacpp",
        path=path,
        model="m",
        device="cpu",
        slots=1,
        context_size=64,
        batch_size=32,
        threads=1,
        log_path=trial.directory / "worker.log",
        memory_bytes=LOAD_MEMORY_BYTES,
    )

    async def load() -> None:
        async with asyncio.timeout(LOAD_WITHIN_S):
            process = await ModelProcess.start(launch, on_exit=lambda: None)
            await process.end()

    try:
        asyncio.run(load())
    except LlmspellError as error:
        if error.code == "internal" or not error.hint:
            raise AssertionError(f"{error.code}, {error}, hint {error.hint}, for {path.read_bytes()!r}") from error
