"""Hugging Face repositories: which files, at which addresses, with which sums. Fetches nothing but that.

huggingface_hub resolves (endpoint, token, redirects, repository listings); the bytes go through our own downloader,
because the library can neither be cancelled nor does it compute sums. It also waits long for servers that are down, so
a probe of our own comes first.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from llmspell_providers.sources.choose import choose_checkpoint, choose_gguf, installed_name
from llmspell_providers.sources.download import is_loopback
from llmspell_providers.sources.remote import HubAddress, RemoteFile, SourceFailed, quantization_of, safe_name, shard_of

_PROBE_S = 3.0
_ANSWER_S = 10.0
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHA1 = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFiles:
    """The files of a model in a repository; `source` names them with the commit that was found."""

    files: tuple[RemoteFile, ...]
    quantization: str | None
    license: str | None
    source: str


def resolve(address: HubAddress, *, format: str | None, quantization: str | None) -> HubFiles:
    """Asks the hub for a file, or for those files of a repository that make up the model.

    Raises:
        SourceFailed: offline, not reachable, not there, or not allowed.
        InvalidRequest, Unsupported: the repository's files do not allow a choice.
    """
    # Imported here, in a worker: it takes half a second, and only this source needs it.
    from huggingface_hub import constants

    if constants.is_offline_mode():
        raise SourceFailed("offline (HF_HUB_OFFLINE is set)")
    endpoint: str = constants.ENDPOINT
    probe(endpoint)
    licence = None
    revision = address.revision
    if address.file is None or shard_of(address.file) is not None:
        names, revision, licence = _listing(address)
    if address.file is None:
        chosen, quantization = _choose(address.repository, names, format, quantization)
    elif shard_of(address.file) is not None:
        folder = address.file.rpartition("/")[0]
        stem = address.file[: -len("-00001-of-00001.gguf")]
        shards = [name for name in names if name.startswith(stem) and name.rpartition("/")[0] == folder]
        chosen, quantization = choose_gguf(address.repository, shards, None)
    else:
        chosen, quantization = [address.file], quantization_of(address.file)
    files = []
    commit = revision
    for name in chosen:
        file, commit = _file(address.repository, revision, name)
        files.append(file)
    place = f"{address.repository}@{commit}" if commit else address.repository
    source = f"hf://{place}/{chosen[0]}" if len(chosen) == 1 else f"hf://{place}"
    return HubFiles(files=tuple(files), quantization=quantization, license=licence, source=source)


def probe(endpoint: str) -> None:
    """Asks whether a server answers at all, three seconds at most, name resolution included.

    Raises:
        SourceFailed: it does not.
    """
    host = urlsplit(endpoint).hostname or ""
    if not endpoint.startswith("https://") and not is_loopback(host):
        raise SourceFailed(f"{endpoint} is refused: plain http is for this machine only")
    outcome: list[str | None] = []

    def ask() -> None:
        try:
            with httpx.Client(timeout=_PROBE_S) as client, client.stream("HEAD", endpoint):
                outcome.append(None)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            outcome.append(str(error) or type(error).__name__)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(_PROBE_S)
    if not outcome:
        raise SourceFailed(f"no answer from {endpoint} in {_PROBE_S:g} s")
    if outcome[0] is not None:
        raise SourceFailed(f"no answer from {endpoint} ({outcome[0]})")


def _choose(
    repository: str, names: list[str], format: str | None, quantization: str | None
) -> tuple[list[str], str | None]:
    if format != "safetensors":
        chosen, found = choose_gguf(repository, names, quantization)
        if chosen:
            return chosen, found
    if format != "gguf" and quantization is None:
        chosen = choose_checkpoint(repository, names)
        if chosen:
            return chosen, None
    raise SourceFailed(f"{repository} has no {'GGUF file' if format != 'safetensors' else 'safetensors'}", missing=True)


def _listing(address: HubAddress) -> tuple[list[str], str | None, str | None]:
    """Names of all files, the commit, and the licence of a repository."""
    from huggingface_hub import HfApi

    info = _asked(
        address.repository,
        lambda: HfApi(library_name="llmspell").model_info(
            address.repository, revision=address.revision, timeout=_ANSWER_S
        ),
    )
    tags = [tag.removeprefix("license:") for tag in info.tags or () if tag.startswith("license:")]
    return [entry.rfilename for entry in info.siblings or ()], info.sha, next(iter(tags), None)


def _file(repository: str, revision: str | None, name: str) -> tuple[RemoteFile, str | None]:
    """A file's address, size and sum, and the commit that it belongs to."""
    from huggingface_hub import constants, get_hf_file_metadata, get_token, hf_hub_url

    address = hf_hub_url(repository, name, revision=revision, endpoint=constants.ENDPOINT)
    token = get_token()

    def ask() -> Any:
        return _asked(
            f"{repository}/{name}",
            lambda: get_hf_file_metadata(address, token=token, timeout=_ANSWER_S, library_name="llmspell"),
        )

    found = ask()
    is_at_hub = urlsplit(found.location).netloc == urlsplit(constants.ENDPOINT).netloc
    etag = (found.etag or "").lower()
    file = RemoteFile(
        name=installed_name(safe_name(name)),
        url=found.location,
        size_bytes=found.size,
        # The hub's ETag is the file's SHA-256 for large files and the git object's name for small ones.
        sha256=etag if _SHA256.fullmatch(etag) else None,
        git_sha1=etag if _SHA1.fullmatch(etag) else None,
        # A content network's address carries its own signature and must not see the token.
        headers={"Authorization": f"Bearer {token}"} if token and is_at_hub else {},
        renew=lambda: str(ask().location),
    )
    return file, found.commit_hash


def _asked(what: str, question: Any) -> Any:
    """The hub's answer, with its library's errors as a source's reasons."""
    import httpx2
    from huggingface_hub import errors

    try:
        return question()
    except errors.GatedRepoError:
        raise SourceFailed(f"{what} is gated: accept its terms on the hub and set HF_TOKEN") from None
    except errors.RepositoryNotFoundError:
        raise SourceFailed(f"{what}: no such repository (or a private one: set HF_TOKEN)", missing=True) from None
    except (errors.EntryNotFoundError, errors.RevisionNotFoundError):
        raise SourceFailed(f"{what}: no such file or revision", missing=True) from None
    except errors.HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "?"
        raise SourceFailed(f"{what}: HTTP {status}") from None
    except (httpx2.HTTPError, OSError, ValueError) as error:
        raise SourceFailed(f"{what}: {str(error).splitlines()[0] if str(error) else type(error).__name__}") from None
