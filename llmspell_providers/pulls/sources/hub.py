"""Hugging Face repositories: which of their files make up a model, at which commit, how large, with which sums.

One question lists a repository with sizes and sums; nothing else is fetched here. The library waits long for servers
that are down, so a probe of our own comes first.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2

from llmspell_protocol.errors import InvalidRequest, SourceUnavailable, Unsupported
from llmspell_protocol.loopback import is_loopback
from llmspell_protocol.plain_reasons import plain_reason
from llmspell_protocol.proxies import check_proxies
from llmspell_providers.pulls.sources.choose import choose_checkpoint, choose_gguf, installed_name, require_distinct
from llmspell_providers.pulls.sources.hub_client import (
    HubClient,
    Waiting,
    answered,
    endpoint,
    first_line,
    gated,
    require_sound_token,
)
from llmspell_providers.pulls.sources.hub_listing import Repository, ask, size_of, sums_of
from llmspell_providers.pulls.sources.meter import Meter
from llmspell_providers.pulls.sources.remote import (
    HubAddress,
    HubFile,
    SourceFailed,
    quantization_of,
    shard_of,
)

_PROBE_S = 3.0
_ANSWER_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HubModel:
    """The files of a model in a repository; `source` names them with the commit that was found.

    `reason` says why these files, where none were named.
    """

    files: tuple[HubFile, ...]
    quantization: str | None
    license: str | None
    source: str
    reason: str | None


def resolve(
    address: HubAddress, meter: Meter, *, format: str | None = None, quantization: str | None = None
) -> HubModel:
    """Asks the hub for a file, or for those files of a repository that make up the model.

    Raises:
        SourceFailed: offline, not reachable, not there, or not allowed.
        InvalidRequest, Unsupported: the repository's files do not allow a choice, or cannot be fetched.
    """
    token = enter_hub()
    waiting = Waiting(meter.note)
    repository = _listed(address, waiting)
    if repository.is_gated and token is None:
        raise gated(repository.name, has_token=False)
    paths, quantization, reason = _chosen(repository, address, format, quantization)
    files = tuple(_file(repository, path, waiting) for path in paths)
    require_distinct(repository.name, [file.name for file in files])
    place = f"{repository.name}@{repository.commit}"
    return HubModel(
        files=files,
        quantization=quantization,
        license=repository.license,
        source=f"hf://{place}/{paths[0]}" if len(paths) == 1 else f"hf://{place}",
        reason=reason,
    )


def enter_hub() -> str | None:
    """Makes this process ready to ask the hub, looks whether it answers at all, and returns the token that it is sent.

    Raises:
        SourceFailed: offline, not reachable, or the environment names no hub that can be.
    """
    try:
        # Imported here, in a worker: it takes half a second, and only this source needs it.
        from huggingface_hub import constants, get_token
    except ValueError as error:  # it reads them when it is imported
        raise SourceFailed(
            f"a variable of huggingface_hub makes no sense: {first_line(error)}",
            kind=SourceUnavailable,
            hint="check HF_ENDPOINT (an address) and HF_HUB_DOWNLOAD_TIMEOUT (seconds) where the kernel runs",
        ) from None
    if constants.is_offline_mode():
        raise SourceFailed(
            "offline (HF_HUB_OFFLINE is set)",
            kind=SourceUnavailable,
            hint="unset HF_HUB_OFFLINE where the kernel runs; llmspell model list shows the models that are here",
        )
    probe(constants.ENDPOINT)
    require_sound_token()
    HubClient(threading.Event()).begin()
    return get_token()


def probe(address: str) -> None:
    """Asks whether a server answers at all, three seconds at most, name resolution included.

    Raises:
        SourceFailed: it does not.
        ConfigError: a proxy of the environment can't be used.
    """
    check_proxies()
    host = _host(address)
    if not address.startswith("https://") and not is_loopback(host):
        raise SourceFailed(f"{address} is refused: plain http is for this machine only")
    outcome: list[str | None] = []

    def ask() -> None:
        try:  # a name that no resolver takes is a ValueError
            with httpx2.Client(timeout=_PROBE_S) as client, client.stream("HEAD", address):
                outcome.append(None)
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            outcome.append(plain_reason(str(error)) or type(error).__name__)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(_PROBE_S)
    if not outcome:
        raise SourceFailed(f"no answer from {address} in {_PROBE_S:g} s")
    if outcome[0] is not None:
        raise SourceFailed(f"no answer from {address} ({outcome[0]})")


def _host(address: str) -> str:
    parts = urlsplit(address)
    if not parts.hostname or parts.scheme not in ("https", "http"):
        raise SourceFailed(
            f"'{address}' is not an address of a hub",
            kind=SourceUnavailable,
            hint="set HF_ENDPOINT where the kernel runs to https://HOST, or unset it",
        )
    return parts.hostname


def _listed(address: HubAddress, waiting: Waiting) -> Repository:
    at = f"@{address.revision}" if address.revision else ""
    found: Repository = answered(
        lambda: ask(address.repository, address.revision), f"{address.repository}{at}", waiting
    )
    return found


def _chosen(
    repository: Repository, address: HubAddress, format: str | None, quantization: str | None
) -> tuple[list[str], str | None, str | None]:
    """Paths, quantization, and why these."""
    names = list(repository.files)
    path = address.file
    if path is None:
        return _model(repository.name, names, format, quantization)
    if path not in repository.files:
        raise SourceFailed(f"{repository.name} has no file '{path}'", missing=True)
    if shard_of(path) is None:
        return [path], quantization_of(path), None
    stem = path[: -len("-00001-of-00001.gguf")]
    shards = choose_gguf(repository.name, [name for name in names if name.startswith(stem) and shard_of(name)], None)
    return shards.names, shards.quantization, None


def _model(
    repository: str, names: list[str], format: str | None, quantization: str | None
) -> tuple[list[str], str | None, str | None]:
    if format != "safetensors":
        found = choose_gguf(repository, names, quantization)
        if found.names:
            return found.names, found.quantization, _with_other_format(repository, names, format, found.reason)
    if format != "gguf" and (chosen := choose_checkpoint(repository, names)):
        if quantization is None:
            return chosen, None, None
        raise InvalidRequest(
            f"{repository} has no {quantization}: its weights are safetensors, which have no quantization to choose",
            hint=f"llmspell model pull hf.co/{repository}",
            details={"model": repository},
        )
    raise SourceFailed(
        f"{repository} has no {'GGUF file' if format != 'safetensors' else 'safetensors weights'}", missing=True
    )


def _with_other_format(repository: str, names: list[str], format: str | None, reason: str | None) -> str | None:
    """Adds to the reason for a GGUF file, where no format was named, which other formats the repository has."""
    has_safetensors = any(name.endswith(".safetensors") and "/" not in name for name in names)
    if format is not None or not has_safetensors:
        return reason
    other = f"GGUF before safetensors (hf.co/{repository}:safetensors)"
    return f"{reason}; {other}" if reason else other


def _file(repository: Repository, path: str, waiting: Waiting) -> HubFile:
    """Size and sums of a file, by the listing; mirrors that list names only are asked for each."""
    from huggingface_hub import constants

    entry = repository.files[path]
    size, sha256, git_sha1 = entry.size_bytes, entry.sha256, entry.git_sha1
    if size is None:
        size, sha256, git_sha1 = answered(lambda: _head(repository, path), f"{repository.name}/{path}", waiting)
    assert size is not None
    if size > constants.MAX_HTTP_DOWNLOAD_SIZE:
        raise Unsupported(
            f"{repository.name}/{path} has {size / 1e9:.0f} GB; the hub serves no file of more than 50 GB over HTTP",
            hint="choose a quantization that is split into parts, or fetch it with `hf download` and pull file:///PATH",
            details={"file": path, "size_bytes": size},
        )
    return HubFile(
        repository=repository.name,
        commit=repository.commit,
        path=path,
        name=installed_name(path),
        size_bytes=size,
        sha256=sha256,
        git_sha1=git_sha1,
    )


def _head(repository: Repository, path: str) -> tuple[int, str | None, str | None]:
    """Size and sums: its ETag is the SHA-256 of a large file, the git object's name of a small one."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    url = hf_hub_url(repository.name, path, revision=repository.commit, endpoint=endpoint())
    found = get_hf_file_metadata(url, timeout=_ANSWER_S, library_name="llmspell")
    size = size_of(found.size, path)
    if size is None:
        raise ValueError(f"it does not say how large {path} is")
    return size, *sums_of(found.etag or "")
