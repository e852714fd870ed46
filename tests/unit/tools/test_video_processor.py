"""video-processor: metadata, and single pictures of a film whose every picture is known."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from llmspell_protocol.errors import Forbidden, InvalidRequest
from tests.support.tool_calls import Called, call_tool

FRAMES, RATE = 20, 10


def film(path: Path, codec: str = "mpeg4", size: tuple[int, int] = (64, 48)) -> None:
    """Pictures that become redder: the n-th has n * 12 of red."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=RATE)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        file.metadata["title"] = "Redder"
        for at in range(FRAMES):
            file.mux(stream.encode(av.VideoFrame.from_image(Image.new("RGB", size, (at * 12, 0, 0)))))
        file.mux(stream.encode(None))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    film(tmp_path / "a.mp4")
    return tmp_path


def process(place: Path, operation: str = "metadata", source: str = "a.mp4", **arguments: Any) -> Called:
    tables = arguments.pop("tables", None)
    asked = {"operation": operation, "file_path": source, **arguments}
    inside = [str(place)]
    return call_tool("video-processor", asked, read=inside, write=inside, directory=inside[0], tables=tables)


def red(called: Called) -> int:
    """How red the picture is that came as media."""
    assert called.outcome is not None
    [media] = called.outcome.media
    pixel = Image.open(io.BytesIO(base64.b64decode(media["base64"]))).convert("RGB").getpixel((10, 10))
    assert isinstance(pixel, tuple)
    return int(pixel[0])


def test_metadata_and_what_it_is(place: Path) -> None:
    result = process(place).result
    assert "mp4" in result["format"].split(",")
    assert (result["duration_seconds"], result["width"], result["height"]) == (2.0, 64, 48)
    assert (result["frame_rate"], result["codec"], result["tags"]["title"]) == (10.0, "mpeg4", "Redder")
    assert result["streams"][0]["frames"] == 20
    assert result["size_bytes"] == (place / "a.mp4").stat().st_size
    detected = process(place, "detect")
    assert (detected.output, detected.result["has_video"]) == (result["format"], True)


@pytest.mark.parametrize(("at", "shown"), [(0, 0), (0.1, 1), (0.25, 2), (1, 10), (1.95, 19)])
@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_the_picture_is_the_one_that_is_seen_then(place: Path, codec: str, at: float, shown: int) -> None:
    film(place / "b.mp4", codec)
    called = process(place, "extract_frame", "b.mp4", timestamp_seconds=at)
    assert red(called) == pytest.approx(shown * 12, abs=4)
    assert called.result["timestamp_seconds"] == pytest.approx(shown / RATE)
    assert (called.result["width"], called.result["height"], called.result["format"]) == (64, 48, "png")


def test_a_picture_may_go_to_a_file_and_be_small(place: Path) -> None:
    called = process(place, "thumbnail", target_path="t.jpg", timestamp_seconds=1, max_width=32)
    assert called.output == "t.jpg"
    with Image.open(place / "t.jpg") as picture:
        assert (picture.format, picture.size) == ("JPEG", (32, 24))
    with av.open(str(place / "b.webm"), "w") as file:
        stream = file.add_stream("libvpx-vp9", rate=5)
        stream.width, stream.height, stream.pix_fmt = 640, 32, "yuv420p"
        file.mux(stream.encode(av.VideoFrame.from_image(Image.new("RGB", (640, 32)))))
        file.mux(stream.encode(None))
    result = process(place, "thumbnail", "b.webm").result
    assert (result["width"], result["height"]) == (320, 16)


def test_what_is_wrong_is_said(place: Path) -> None:
    assert "takes 2 s" in process(place, "extract_frame", timestamp_seconds=3).said
    (place / "text").write_text("no film")
    assert "is not an audio or video file" in process(place, source="text").said
    assert "no such file" in process(place, source="absent").said
    with av.open(str(place / "s.wav"), "w") as file:
        stream = file.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame(format="s16", layout="mono", samples=800)
        frame.rate = 8000
        frame.planes[0].update(bytes(frame.planes[0].buffer_size))
        file.mux(stream.encode(frame))
    assert "no pictures in it" in process(place, "thumbnail", "s.wav").said
    assert process(place, source="s.wav").result["width"] is None
    for operation, arguments in (
        ("extract_frame", {"timestamp_seconds": -1}),
        ("thumbnail", {"target_path": "b.bmp"}),
        ("cut", {}),
    ):
        with pytest.raises(InvalidRequest):
            process(place, operation, **arguments)
    with pytest.raises(Forbidden):
        call_tool("video-processor", {"path": str(place / "a.mp4")})
    with pytest.raises(Forbidden, match="more than 10"):
        process(place, tables={"media": {"max_file_size": 10}})


def test_pictures_are_held_to_a_size(place: Path) -> None:
    small = {"media": {"image_max_dimensions": "63x48"}}
    assert "image_max_dimensions" in process(place, "extract_frame", tables=small).said


@pytest.mark.parametrize("cut", [100, 1000, 1800])
def test_a_damaged_file_is_told(place: Path, cut: int) -> None:
    data = (place / "a.mp4").read_bytes()
    (place / "cut.mp4").write_bytes(data[:cut])
    assert process(place, "extract_frame", "cut.mp4").said


def test_a_playlist_opens_nothing(place: Path) -> None:
    text = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{place}/a.mp4\n#EXT-X-ENDLIST\n"
    (place / "a.m3u8").write_text(text)
    for operation in ("metadata", "extract_frame"):
        assert "is not an audio or video file" in process(place, operation, "a.m3u8").said


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.data())
def test_a_changed_file_is_read_or_refused(place: Path, data: st.DataObject) -> None:
    changed = bytearray((place / "a.mp4").read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    (place / "changed.mp4").write_bytes(changed)
    for operation in ("metadata", "extract_frame"):
        process(place, operation, "changed.mp4")


def test_pictures_in_a_form_that_is_not_known_are_told(place: Path) -> None:
    film(place / "b.avi")
    data = (place / "b.avi").read_bytes()
    (place / "odd.avi").write_bytes(data.replace(b"FMP4", b"zzzz"))
    assert "in a form that is not known" in process(place, "extract_frame", "odd.avi").said
    assert process(place, source="odd.avi").result["codec"] is None
