"""audio-processor: metadata, and sound that comes out of one format and goes into another."""

from __future__ import annotations

import math
import struct
import wave
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmspell_protocol.errors import Forbidden, InvalidRequest
from tests.support.tool_calls import Called, call_tool

RATE, SECONDS = 8000, 2


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """`a.wav`: two seconds of a tone of 440 Hz."""
    samples = [int(12000 * math.sin(2 * math.pi * 440 * at / RATE)) for at in range(RATE * SECONDS)]
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return tmp_path


def process(place: Path, operation: str = "metadata", source: str = "a.wav", **arguments: Any) -> Called:
    tables = arguments.pop("tables", None)
    given_ = {"operation": operation, "source_path": source, **arguments}
    inside = [str(place)]
    return call_tool("audio-processor", given_, read=inside, write=inside, directory=inside[0], tables=tables)


def tone(path: Path) -> float:
    """How often a sound goes through zero upwards, in a second."""
    with wave.open(str(path)) as file:
        count, rate, channels = file.getnframes(), file.getframerate(), file.getnchannels()
        samples = struct.unpack(f"<{count * channels}h", file.readframes(count))[::channels]
    return sum(one < 0 <= other for one, other in pairwise(samples)) / (count / rate)


def test_metadata_and_what_it_is(place: Path) -> None:
    assert process(place).result == {
        "format": "wav",
        "mime_type": "audio/wav",
        "duration_seconds": 2.0,
        "sample_rate": 8000,
        "channels": 1,
        "bit_rate": 128000,
        "size_bytes": 32044,
        "tags": {},
    }
    assert process(place, "detect").result == {"format": "wav", "mime_type": "audio/wav"}
    assert call_tool("audio-processor", {"file_path": str(place / "a.wav")}, read=[str(place)]).result["channels"] == 1


def test_a_sound_comes_through_mp3_as_it_was(place: Path) -> None:
    assert "libmp3lame" in av.codecs_available
    result = process(place, "convert", target_path="b.mp3").result
    assert (result["format"], result["duration_seconds"], result["source"]["codec"]) == ("mp3", 2.0, "pcm_s16le")
    assert result["size_bytes"] == (place / "b.mp3").stat().st_size
    told = process(place, source="b.mp3").result
    assert (told["format"], told["sample_rate"]) == ("mp3", 8000)
    assert told["duration_seconds"] == pytest.approx(2, abs=0.3)
    back = process(place, "convert", "b.mp3", target_path="c", target_format="WAV")
    assert back.output == "c"
    assert tone(place / "c") == pytest.approx(440, rel=0.1)


@pytest.mark.parametrize("kind", ["flac", "ogg", "mp4"])
def test_other_formats_are_read(place: Path, kind: str) -> None:
    codec = {"flac": "flac", "ogg": "libopus", "mp4": "aac"}[kind]
    with av.open(str(place / "a.wav")) as source, av.open(str(place / f"b.{kind}"), "w") as target:
        stream = target.add_stream(codec, rate=48000, layout="stereo")
        target.metadata["title"] = "A tone"
        resampler = av.AudioResampler(format=stream.codec_context.format, layout="stereo", rate=48000)
        for frame in source.decode(audio=0):
            for one in resampler.resample(frame):
                one.pts = None
                target.mux(stream.encode(one))
        target.mux(stream.encode(None))
    assert process(place, "convert", f"b.{kind}", target_path="c.wav").result["source"]["channels"] == 2
    assert tone(place / "c.wav") == pytest.approx(440, rel=0.1)
    assert process(place, source=f"b.{kind}").result["channels"] == 2


def test_tags_are_told(place: Path) -> None:
    from mutagen.id3 import ID3, TIT2, TPE1

    process(place, "convert", target_path="b.mp3")
    tags = ID3()
    tags.add(TIT2(encoding=3, text=["Ein Lied"]))
    tags.add(TPE1(encoding=3, text=["A", "B"]))
    tags.save(place / "b.mp3")
    assert process(place, source="b.mp3").result["tags"] == {"title": "Ein Lied", "artist": "A, B"}


def test_what_is_wrong_is_said(place: Path) -> None:
    (place / "text").write_text("no sound")
    assert "not an audio file" in process(place, source="text").said
    assert "is not an audio" in process(place, "convert", "text", target_path="b.wav").said
    assert "no such file" in process(place, source="absent").said
    for arguments in ({}, {"target_path": "b.ogg"}, {"target_path": "b", "target_format": "flac"}):
        with pytest.raises(InvalidRequest):
            process(place, "convert", **arguments)
    with pytest.raises(InvalidRequest, match="Unknown operation: play"):
        process(place, "play")
    with pytest.raises(InvalidRequest, match="'source_path'"):
        call_tool("audio-processor", {})
    with pytest.raises(Forbidden):
        call_tool("audio-processor", {"path": str(place / "a.wav")})
    with pytest.raises(Forbidden, match="more than 10"):
        process(place, tables={"media": {"max_file_size": 10}})
    assert not (place / "b.wav").exists()


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://DIR/a.wav\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile DIR/a.wav\n",
        "ffconcat version 1.0\nfile a.wav\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>file://DIR/a.wav</BaseURL></MPD>',
    ],
)
def test_a_file_that_names_others_opens_none(place: Path, text: str) -> None:
    (place / "list").write_text(text.replace("DIR", str(place)))
    assert "is not an audio" in process(place, "convert", "list", target_path="b.wav").said
    assert not (place / "b.wav").exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.data())
def test_a_changed_file_is_read_or_refused(place: Path, data: st.DataObject) -> None:
    if not (place / "whole.mp3").exists():
        process(place, "convert", target_path="whole.mp3")
    name = data.draw(st.sampled_from(["a.wav", "whole.mp3"]))
    changed = bytearray((place / name).read_bytes()[:3000])
    for _ in range(data.draw(st.integers(1, 6))):
        changed[data.draw(st.integers(0, 200))] = data.draw(st.integers(0, 255))
    (place / "changed").write_bytes(changed)
    process(place, source="changed")
    process(place, "convert", "changed", target_path="converted.wav")
