"""Audio and video files: opened by FFmpeg's libraries, which may open nothing else, and what streams are in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO

from llmspell_tools.extra_libraries import library
from llmspell_tools.outcome import ToolFailure

# Playlists and the like lead to other files and hosts: only formats that hold their own content.
FORMATS = (
    "wav", "w64", "aiff", "au", "mp3", "flac", "ogg", "aac", "ac3", "amr", "ape", "wv", "caf", "asf",
    "mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "avi", "flv", "mpeg", "mpegts", "mpegvideo", "gif",
)  # fmt: skip
_OPTIONS = {"format_whitelist": ",".join(FORMATS), "protocol_whitelist": "none"}


@contextmanager
def opened(file: BinaryIO, path: str, what: str) -> Iterator[Any]:
    """A PyAV container; `what` is what is done with it ("converting audio").

    Raises:
        Unsupported: PyAV is not installed.
        ToolFailure: it is no such file, or damaged.
    """
    av = library("av", "av", what)
    try:
        container = av.open(file, mode="r", container_options=_OPTIONS, metadata_errors="replace")
    except av.error.ArgumentError:
        # What FFmpeg says of a format that isn't on the list.
        raise ToolFailure(f"{path} is not an audio or video file of a kind that is read") from None
    except (av.error.FFmpegError, ValueError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise ToolFailure(f"{path} is not an audio or video file: {said.lower()}") from None
    try:
        with container:
            yield container
    except (av.error.FFmpegError, ValueError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise ToolFailure(f"{path} is damaged: {said.lower()}") from None


def seconds(container: Any) -> float | None:
    """How long it takes; None where the file doesn't say."""
    return round(container.duration / 1_000_000, 6) if container.duration is not None else None


def streams(container: Any) -> list[dict[str, Any]]:
    """`{type, codec, …}` of every stream, with what there is to tell of a sound or a picture."""
    found = []
    for stream in container.streams:
        one: dict[str, Any] = {"type": stream.type, "codec": None}
        context = getattr(stream, "codec_context", None)
        if context is not None:
            one |= {"codec": context.name, "bit_rate": context.bit_rate}
            if stream.type == "audio":
                one |= {"sample_rate": context.sample_rate, "channels": context.channels, "layout": context.layout.name}
            if stream.type == "video":
                rate = stream.average_rate
                one |= {"width": context.width, "height": context.height, "frames": stream.frames or None}
                one["frame_rate"] = round(float(rate), 3) if rate else None
        found.append(one)
    return found


def decodable(found: Any, path: str, what: str) -> Any:
    """The first of some streams that can be decoded; `what` is what is in them ("sound").

    Raises:
        ToolFailure: there is none.
    """
    if not found:
        raise ToolFailure(f"{path} has no {what} in it")
    known = [stream for stream in found if stream.codec_context is not None]
    if not known:
        raise ToolFailure(f"{path} has {what} in a form that is not known")
    return known[0]


def tags(given: Mapping[str, Any]) -> dict[str, str]:
    """What a file says about itself, names in lower case, texts not longer than 1,000 characters."""
    return {str(name).lower(): str(value)[:1000] for name, value in list(given.items())[:100]}
