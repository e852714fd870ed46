"""video-processor: what a video file is, and single pictures of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

from llmspell_tools.contract import Call, Outcome, Tool, ToolFailure
from llmspell_tools.extra_libraries import library
from llmspell_tools.media.av_files import decodable, opened, seconds, streams, tags
from llmspell_tools.media.pictures import Format, demand_size, format_of, given
from llmspell_tools.parameters import ToolParameters, parameter

if TYPE_CHECKING:
    from PIL.Image import Image


class Parameters(ToolParameters):
    """What `video-processor` is called with."""

    operation: Literal["detect", "metadata", "thumbnail", "extract_frame"] = parameter("what to do", "metadata")
    file_path: str = parameter("the file", also=("source_path", "path", "input"))
    target_path: str | None = parameter("a file for the picture; left out: the call's media", None)
    timestamp_seconds: float = parameter("the picture that is seen then", 0, ge=0, also=("timestamp",))
    target_format: Format | None = parameter("png, jpeg, gif, webp; left out: the path's, else png", None)
    max_width: int = parameter("thumbnail: at most so wide", 320, ge=1)
    max_height: int = parameter("thumbnail: at most so high", 320, ge=1)


def run(wanted: Parameters, call: Call) -> Outcome:
    """Does what the operation says."""
    media, path = call.tables["media"], wanted.file_path
    limit = int(media.get("max_file_size", 524_288_000))
    with call.files.open(path, largest_bytes=limit) as file, opened(file, path, "reading video") as video:
        if wanted.operation in ("detect", "metadata"):
            return _described(wanted, video, os.fstat(file.fileno()).st_size)
        library("PIL.Image", "pillow", "writing pictures")
        stream = decodable(video.streams.video, path, "pictures")
        # Before anything is decoded.
        demand_size(path, stream.codec_context.width, stream.codec_context.height, media)
        picture, moment = _frame(wanted, video, stream, media)
    if wanted.operation == "thumbnail":
        picture.thumbnail((wanted.max_width, wanted.max_height))
    kind = format_of(wanted.target_path, wanted.target_format, "png")
    result, pictures = given(picture, kind, wanted.target_path, call)
    result = {"file_path": path, "timestamp_seconds": moment, **result}
    output = wanted.target_path if wanted.target_path is not None else result
    message = f"{result['width']}×{result['height']} {kind}, at {moment:g} s"
    return Outcome(operation=wanted.operation, result=result, output=output, message=message, media=pictures)


def _frame(wanted: Parameters, video: Any, stream: Any, media: Any) -> tuple[Image, float]:
    """The picture that is seen at a time, and when it comes up."""
    at, duration = wanted.timestamp_seconds, seconds(video)
    if duration is not None and at > duration:
        raise ToolFailure(f"{wanted.file_path} takes {duration:g} s; there is no picture at {at:g} s")
    start = float((stream.start_time or 0) * stream.time_base)
    if at > 0:
        # To the last whole picture before; from there on all are decoded.
        video.seek(int((at + start) / stream.time_base), stream=stream, backward=True)
    found = None
    for frame in video.decode(stream):
        # A stream may change its size on the way.
        demand_size(wanted.file_path, frame.width, frame.height, media)
        if found is not None and frame.time is not None and frame.time - start > at + 1e-6:
            break
        found = frame
    if found is None:
        raise ToolFailure(f"{wanted.file_path} has no picture at {at:g} s")
    moment = round(max(found.time - start, 0.0), 6) if found.time is not None else 0.0
    return found.to_image(), moment


def _described(wanted: Parameters, video: Any, size: int) -> Outcome:
    names = video.format.name
    found = streams(video)
    picture: dict[str, Any] = next((one for one in found if one["type"] == "video"), {})
    if wanted.operation == "detect":
        result = {"format": names, "description": video.format.long_name, "has_video": bool(picture)}
        return Outcome(operation="detect", result=result, output=names, message=names)
    result = {
        "format": names,
        "duration_seconds": seconds(video),
        "width": picture.get("width"),
        "height": picture.get("height"),
        "frame_rate": picture.get("frame_rate"),
        "codec": picture.get("codec"),
        "bit_rate": video.bit_rate or None,
        "size_bytes": size,
        "streams": found,
        "tags": tags(video.metadata),
    }
    return Outcome(operation="metadata", result=result, output=result, message=f"{names} video")


TOOL = Tool(
    name="video-processor",
    description="Tells what a video file is, with its streams and length, and takes single pictures out of it.",
    category="media",
    level="safe",
    parameters=Parameters,
    run=run,
    needs=("read", "write"),
    settings=("media", "file_operations"),
    result=(
        "detect: {format, description, has_video}; metadata: {format, duration_seconds, width, height, frame_rate, "
        "codec, bit_rate, size_bytes, streams, tags}; thumbnail, extract_frame: {file_path, timestamp_seconds, "
        "target_path?, format, width, height, size_bytes}"
    ),
    keywords=("video", "movie", "frame", "thumbnail", "mp4"),
)
