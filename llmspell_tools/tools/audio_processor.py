"""audio-processor: what an audio file is, and the same as WAV or MP3."""

from __future__ import annotations

import os
from typing import Any, Literal

from llmspell_protocol.errors import InvalidRequest, Unsupported
from llmspell_tools.contract import Call, Outcome, Tool, ToolFailure
from llmspell_tools.extra_libraries import library
from llmspell_tools.media.av_files import decodable, opened, streams, tags
from llmspell_tools.parameters import ToolParameters, missing, parameter

_CODECS = {"wav": "pcm_s16le", "mp3": "libmp3lame"}
_PROGRESS_S = 60


class Parameters(ToolParameters):
    """What `audio-processor` is called with."""

    operation: Literal["detect", "metadata", "convert"] = parameter("what to do", "metadata")
    source_path: str = parameter("the file", also=("file_path", "path", "input"))
    target_path: str | None = parameter("convert: where the result goes", None)
    target_format: Literal["wav", "mp3"] | None = parameter("convert: left out: what target_path ends with", None)

    @classmethod
    def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Formats in any case."""
        wanted = given.get("target_format")
        return {**given, "target_format": wanted.lower()} if isinstance(wanted, str) else given


def run(wanted: Parameters, call: Call) -> Outcome:
    """Does what the operation says."""
    limit = int(call.tables["media"].get("max_file_size", 524_288_000))
    with call.files.open(wanted.source_path, largest_bytes=limit) as file:
        if wanted.operation == "convert":
            return _converted(wanted, call, file, limit)
        found = _mutagen(wanted.source_path, file)
        kind = _format(found)
        if wanted.operation == "detect":
            result = {"format": kind, "mime_type": found.mime[0]}
            return Outcome(operation="detect", result=result, output=kind, message=kind)
        return _metadata(found, kind, file)


def _mutagen(path: str, file: Any) -> Any:
    """The file as mutagen reads it: headers and tags, no sound."""
    mutagen = library("mutagen", "mutagen", "reading audio files")
    try:
        found = mutagen.File(file, easy=True)
    except (mutagen.MutagenError, *_DAMAGED) as error:
        raise ToolFailure(f"{path} is damaged: {error or type(error).__name__}") from None
    if found is None:
        raise ToolFailure(f"{path} is not an audio file that is known")
    return found


_DAMAGED = (ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, OverflowError)
"""What mutagen lets through where a file is not what it expects."""


def _format(found: Any) -> str:
    name = type(found).__name__.lower().removeprefix("easy")
    return {"wave": "wav"}.get(name, name)


def _metadata(found: Any, kind: str, file: Any) -> Outcome:
    info = found.info
    result = {
        "format": kind,
        "mime_type": found.mime[0],
        "duration_seconds": round(float(info.length), 3) if getattr(info, "length", None) is not None else None,
        "sample_rate": getattr(info, "sample_rate", None),
        "channels": getattr(info, "channels", None),
        "bit_rate": getattr(info, "bitrate", None) or None,
        "size_bytes": file.seek(0, os.SEEK_END),
        "tags": tags(
            {
                name: ", ".join(map(str, value)) if isinstance(value, list) else value
                for name, value in dict(found.tags or {}).items()
                if _is_text(value)
            }
        ),
    }
    return Outcome(operation="metadata", result=result, output=result, message=f"{result['format']} audio")


def _is_text(value: Any) -> bool:
    """Whether a tag is no picture or other bytes."""
    return isinstance(value, (str, int, float)) or (
        isinstance(value, list) and all(isinstance(one, (str, int, float)) for one in value)
    )


def _converted(wanted: Parameters, call: Call, file: Any, limit: int) -> Outcome:
    if wanted.target_path is None:
        raise missing("target_path")
    ending = os.path.splitext(wanted.target_path)[1].lower().removeprefix(".")
    kind = wanted.target_format or ending
    if kind not in _CODECS:
        raise InvalidRequest(f"{wanted.target_path} ends with neither .wav nor .mp3", hint="name the target_format")
    av = library("av", "av", "converting audio")
    if _CODECS[kind] not in av.codecs_available:
        raise Unsupported(f"this build of PyAV can't write {kind}: it has no codec {_CODECS[kind]}")
    with opened(file, wanted.source_path, "converting audio") as source:
        stream = decodable(source.streams.audio, wanted.source_path, "sound")
        described = streams(source)[stream.index]
        with call.files.replacing(wanted.target_path) as target:
            duration = _written(av, source, stream, target, kind, call, limit)
            size = target.seek(0, os.SEEK_END)
    result = {
        "source_path": wanted.source_path,
        "target_path": wanted.target_path,
        "format": kind,
        "duration_seconds": round(duration, 3),
        "source": described,
        "size_bytes": size,
    }
    message = f"Wrote {size} bytes to {wanted.target_path}"
    return Outcome(operation="convert", result=result, output=wanted.target_path, message=message)


def _written(av: Any, source: Any, stream: Any, target: Any, kind: str, call: Call, limit: int) -> float:
    """Decodes and encodes all sound; returns how many seconds it was."""
    rate, told = stream.codec_context.sample_rate, 0.0
    samples = 0
    # MP3 has rates of its own, and no more than two channels.
    rate_out = (
        rate if kind == "wav" or rate in (32000, 44100, 48000, 22050, 24000, 16000, 11025, 12000, 8000) else 44100
    )
    layout = "mono" if stream.codec_context.channels == 1 else "stereo"
    with av.open(target, mode="w", format=kind) as made:
        output = made.add_stream(_CODECS[kind], rate=rate_out, layout=layout)
        form = {"wav": "s16", "mp3": "s16p"}[kind]
        resampler = av.AudioResampler(format=form, layout=layout, rate=rate_out)
        for frame in source.decode(stream):
            # Times of damaged files run backwards; the encoder counts by itself.
            frame.pts = None
            samples += frame.samples
            for one in resampler.resample(frame):
                made.mux(output.encode(one))
            if target.tell() > limit:
                raise ToolFailure(f"the result has more than {limit:,} bytes (tools.media.max_file_size)")
            if samples / rate - told >= _PROGRESS_S:
                told = samples / rate
                call.progress(f"{told:.0f} s", seconds=told)
        for one in resampler.resample(None):
            made.mux(output.encode(one))
        made.mux(output.encode(None))
    return samples / rate if rate else 0.0


TOOL = Tool(
    name="audio-processor",
    description="Tells what an audio file is, with its tags and length, and converts sound to WAV or MP3.",
    category="media",
    level="safe",
    parameters=Parameters,
    run=run,
    needs=("read", "write"),
    settings=("media", "file_operations"),
    result=(
        "detect: {format, mime_type}; metadata: {format, mime_type, duration_seconds, sample_rate, channels, bit_rate, "
        "size_bytes, tags}; convert: {source_path, target_path, format, duration_seconds, source, size_bytes}"
    ),
    keywords=("audio", "music", "sound", "mp3", "wav"),
)
