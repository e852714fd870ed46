"""Pulls as the kernel sees them: one worker process a model, any number of watchers. Downloads nothing itself."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from llmspell_protocol.child import Child
from llmspell_protocol.content import to_content
from llmspell_protocol.errors import DownloadError, LlmspellError, ModelLoadFailed, error_from_content
from llmspell_protocol.exit_status import ending
from llmspell_protocol.frames import Frame
from llmspell_protocol.pulls import PulledFile, PullProgress, PullResult
from llmspell_protocol.worker_memory import PULL_BYTES
from llmspell_providers.library.catalog import Catalog
from llmspell_providers.library.manifest import Manifest, ManifestInvalid, read_manifest
from llmspell_providers.library.names import spec_name
from llmspell_providers.library.store import Store
from llmspell_providers.pulls.order import PullOrder, already_installed, pull_result, shown_address
from llmspell_providers.pulls.sources.remote import hub_address
from llmspell_providers.spec import ModelSpec

if TYPE_CHECKING:
    from llmspell_protocol.areas.found_models import HubRepository

_PASSED_TO_WORKER = frozenset(
    {
        "HF_TOKEN",
        "HF_ENDPOINT",
        "HF_HUB_OFFLINE",
        "HF_HOME",
        "HF_TOKEN_PATH",
        "HF_HUB_DOWNLOAD_TIMEOUT",
        "HF_HUB_DISABLE_IMPLICIT_TOKEN",
        "HUGGING_FACE_HUB_TOKEN",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "REQUESTS_CA_BUNDLE",
        "XDG_CONFIG_HOME",
        "XDG_CACHE_HOME",
    }
)
_HUB_SETTINGS = {
    # A Xet transfer of a process that was killed begins again. Plain HTTP goes on with one Range request, and is what
    # proxies and mirrors understand.
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}
_REVISION = re.compile(r"(hf://[^/@]+/[^/@]+)@(?:refs/(?:pr|convert)/[^/]+|[^/]+)")
_SAFETENSORS = "SAFETENSORS"
"""In place of a quantization: not the GGUF files of a repository that has both."""


def pull_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that a pull worker needs: the hub's, pip's and the proxies. Called once, at the edge."""
    chosen = {
        name: value for name, value in environ.items() if name.upper() in _PASSED_TO_WORKER or name.startswith("PIP_")
    }
    if "HFHUB_API_KEY" in environ:
        chosen.setdefault("HF_TOKEN", environ["HFHUB_API_KEY"])
    return chosen


class Puller:
    """Downloads models into a store; belongs to one event loop."""

    def __init__(
        self,
        store: Store,
        log_path: Path | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        catalog: Catalog | None = None,
        find_token: Callable[[], str | None] = lambda: None,
    ) -> None:
        """`environment` is what `pull_environment` gave; the workers' output goes to the end of `log_path`.

        `find_token` knows a token for the hub where the environment has none; it may block.
        """
        self.store = store
        self.catalog = catalog or Catalog.load()
        self._log_path = log_path
        self._environment = {**(environment or {}), **_HUB_SETTINGS}
        self._find_token = find_token
        self._running: dict[tuple[str, ...], _Download] = {}

    async def pull(
        self, spec: ModelSpec, *, force: bool = False, quantization: str | None = None, public_only: bool = False
    ) -> AsyncGenerator[PullProgress, None]:
        """Downloads a model and yields its progress, about ten times a second; the last item carries the result.

        Closing the iterator ends the worker unless others watch the same pull; what has come stays and the next pull
        resumes. A model that is there already takes no network.

        Raises:
            ModelNotFound: neither the catalog nor a source has it.
            InvalidRequest: the model does not exist in this quantization, the address is malformed, or another model
                is installed under this name.
            SourceUnavailable: no source answers; `details.sources` says why, one by one.
            Unauthorized, Forbidden, RateLimited: what the hub says about the token, or about too many requests.
            ChecksumMismatch, DiskFull, DownloadError, ModelLoadFailed: as their classes say.
        """
        order = replace(self._order(spec, force=force, quantization=quantization), public_only=public_only)
        async with aclosing(self._carried_out(order, lambda final: self._present(spec, final))) as progress:
            async for item in progress:
                yield item

    async def take(
        self, path: Path, *, name: str, variant: str | None, owner: str, sha256: str | None = None, force: bool = False
    ) -> AsyncGenerator[PullProgress, None]:
        """Makes a model that is on this machine one of the store's without copying it; yields as `pull` does.

        `path` is a whole one, of a file or of a directory of safetensors. The files stay `owner`'s: they get another
        name on their disk, or a symbolic link leads to them.

        Raises:
            InvalidRequest: it can't be read, or another model is installed under this name.
            ModelNotFound, ModelLoadFailed, ChecksumMismatch, DownloadError: as their classes say.
        """
        order = PullOrder(
            directory=str(self.store.directory),
            name=name,
            variant=variant,
            addresses=(f"file://{quote(str(path))}",),
            sha256=sha256,
            force=force,
            links=True,
            owner=owner,
        )
        async with aclosing(self._carried_out(order, self._taken)) as progress:
            async for item in progress:
                yield item

    async def _carried_out(
        self, order: PullOrder, find_present: Callable[[PullOrder], Manifest | None]
    ) -> AsyncGenerator[PullProgress, None]:
        order = replace(order, name=await asyncio.to_thread(self.store.installed_name, order.name))
        if not order.force:
            present = await asyncio.to_thread(find_present, order)
            if present is not None:
                yield _complete(pull_result(self.store, present, "already_present"))
                return
        asks_hub = any(address.startswith("hf://") for address in order.addresses)
        environment = await self._with_token() if asks_hub else self._environment
        key = (order.id, *order.addresses, *(("public",) if order.public_only else ()))
        download = self._running.get(key)
        if download is None or download.finished:
            download = self._running[key] = _Download(order, environment, self._log_path)
        download.watchers += 1
        try:
            async for progress in download.progress():
                yield progress
        finally:
            download.watchers -= 1
            if not download.watchers:
                if self._running.get(key) is download:
                    del self._running[key]
                await download.end()

    async def close(self) -> None:
        """Ends every worker; what has come stays."""
        running, self._running = list(self._running.values()), {}
        await asyncio.gather(*(download.end() for download in running))

    async def search(self, words: str, limit: int) -> list[HubRepository]:
        """GGUF repositories of the hub, the most downloaded first; raises as `pulls.search.search`."""
        # A pull does not need it.
        from llmspell_providers.pulls.search import search

        return await search(words, limit, environment=await self._with_token(), log_path=self._log_path)

    async def _with_token(self) -> Mapping[str, str]:
        """What a worker that asks the hub needs."""
        if self._environment.get("HF_TOKEN"):
            return self._environment
        token = await asyncio.to_thread(self._find_token)
        return {**self._environment, "HF_TOKEN": token} if token else self._environment

    def _order(self, spec: ModelSpec, *, force: bool, quantization: str | None) -> PullOrder:
        directory = str(self.store.directory)
        if spec.hub_repository is not None:
            wanted = None if spec.variant in (None, "latest") else spec.variant
            wanted = (wanted or quantization or "").upper() or None
            if wanted == _SAFETENSORS:
                return PullOrder(
                    directory=directory,
                    name=spec_name(spec),
                    variant=wanted.lower(),
                    format="safetensors",
                    addresses=(str(spec.source),),
                    revision=spec.revision,
                    force=force,
                )
            return PullOrder(
                directory=directory,
                name=spec_name(spec),
                variant=wanted,
                variant_follows=wanted is None,
                quantization=wanted,
                addresses=(str(spec.source),),
                revision=spec.revision,
                force=force,
            )
        if spec.source is not None:
            return PullOrder(
                directory=directory,
                name=spec_name(spec),
                quantization=quantization,
                addresses=(spec.source,),
                revision=hub_address(spec.source).revision if spec.source.startswith("hf://") else None,
                force=force,
            )
        choice = self.catalog.choose(spec, quantization)
        if choice is None:
            raise self.catalog.unknown(spec)
        entry, pin = choice.entry, choice.entry.pin(choice.quantization)
        return PullOrder(
            directory=directory,
            name=entry.name,
            variant=choice.variant,
            format=entry.format,
            quantization=choice.quantization,
            addresses=tuple(entry.addresses(choice.quantization)),
            sha256=pin.sha256,
            size_bytes=pin.size_bytes,
            license=entry.license,
            force=force,
        )

    def _taken(self, order: PullOrder) -> Manifest | None:
        """The model of this name, if it is the one that the order is about."""
        try:
            manifest = read_manifest(self.store.place(order.name, order.variant))
        except (FileNotFoundError, NotADirectoryError, ManifestInvalid):
            return None
        if not self.store.is_complete(manifest):
            return None
        if manifest.source != order.addresses[0]:
            raise already_installed(manifest)
        return manifest

    def _present(self, spec: ModelSpec, order: PullOrder) -> Manifest | None:
        manifest: Manifest | None
        if order.variant_follows:
            try:
                manifest = self.store.find(spec)
            except ModelLoadFailed:
                return None  # damaged: it is pulled again
        else:
            try:
                manifest = read_manifest(self.store.place(order.name, order.variant))
            except (FileNotFoundError, NotADirectoryError, ManifestInvalid):
                return None
        if manifest is None or not self.store.is_complete(manifest):
            return None
        is_address = spec.source is not None and spec.hub_repository is None
        if is_address and _without_revision(manifest.source) != _without_revision(shown_address(order.addresses[0])):
            raise already_installed(manifest)
        if order.revision is not None and f"@{order.revision}" not in manifest.source:
            return None  # only the hub can tell whether this branch or tag is the installed commit
        return manifest


def _without_revision(address: str) -> str:
    return _REVISION.sub(r"\1", address)


def _complete(result: PullResult) -> PullProgress:
    return PullProgress(
        phase="complete",
        bytes_downloaded=result.bytes_downloaded,
        bytes_total=result.bytes_total,
        percent_complete=100.0,
        result=result,
    )


class _Download:
    """One worker and where it stands."""

    def __init__(self, order: PullOrder, environment: Mapping[str, str], log_path: Path | None) -> None:
        self.watchers = 0
        self._order = order
        self._partial_place = Store(Path(order.directory)).partial_place(order.name, order.variant)
        self._plan: PullProgress | None = None
        self._latest: PullProgress | None = None
        self._error: LlmspellError | None = None
        self._changed = asyncio.Event()
        self._child = Child.spawn(
            "llmspell_providers.pulls.worker",
            environment=environment,
            log_path=log_path,
            memory_bytes=PULL_BYTES,
            on_frame=self._on_frame,
            on_exit=self._on_exit,
        )
        self._child.send({"op": "pull", **to_content(order)})

    @property
    def finished(self) -> bool:
        """Whether the pull has succeeded or failed."""
        return self._error is not None or (self._latest is not None and self._latest.result is not None)

    async def progress(self) -> AsyncGenerator[PullProgress, None]:
        """Every change that a watcher is quick enough to see, and always the plan and the last one."""
        planned: PullProgress | None = None
        seen: PullProgress | None = None
        while True:
            changed = self._changed
            latest = self._latest
            if self._plan is not planned and self._plan is not None:
                planned = self._plan
                if latest is not planned:
                    yield planned
            elif latest is not None and latest is not seen:
                seen = latest
                yield latest
                if latest.result is not None:
                    return
            elif self._error is not None:
                raise self._error
            else:
                await changed.wait()

    async def end(self) -> None:
        """Ends the worker, and with it what it started; only what can be resumed stays."""
        broken_off = not self.finished
        await self._child.end()
        if broken_off:
            from llmspell_providers.pulls.sources.pull_directory import PullDirectory

            with contextlib.suppress(OSError):
                await asyncio.to_thread(PullDirectory.tidy, self._partial_place)

    def _on_frame(self, frame: Frame) -> None:
        if frame["op"] == "progress":
            files = tuple(PulledFile(**file) for file in frame["progress"]["files"])
            self._latest = PullProgress(**{**frame["progress"], "files": files})
            if files:
                self._plan = self._latest
        elif frame["op"] == "done":
            files = tuple(PulledFile(**file) for file in frame["result"]["files"])
            self._latest = _complete(PullResult(**{**frame["result"], "files": files}))
        elif frame["op"] == "error":
            self._error = error_from_content(frame["error"])
        self._tell()

    def _on_exit(self, status: int) -> None:
        if not self.finished:
            self._error = DownloadError(
                f"The process that was pulling '{self._order.id}' ended {ending(status)}",
                hint=f"llmspell model pull {self._order.id} goes on where it stopped",
                details={"model": self._order.id, "exit_status": status},
            )
            self._tell()

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
