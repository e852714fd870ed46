"""image-processor: every operation and format, and pictures that are made to harm."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from llmspell_protocol.errors import Forbidden, InvalidRequest
from tests.support.tool_calls import Called, call_tool

RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """`a.png`: 40×20, the left half red, the right half blue."""
    picture = Image.new("RGB", (40, 20), RED)
    picture.paste(BLUE, (20, 0, 40, 20))
    picture.save(tmp_path / "a.png", dpi=(72, 72))
    return tmp_path


def process(place: Path, operation: str | None = None, source: str = "a.png", **arguments: Any) -> Called:
    given_ = {"source_path": source, **arguments, **({"operation": operation} if operation else {})}
    tables = given_.pop("tables", None)
    inside = [str(place)]
    return call_tool("image-processor", given_, read=inside, write=inside, directory=inside[0], tables=tables)


def made(called: Called) -> Image.Image:
    """The picture that came as media."""
    assert called.outcome is not None
    [media] = called.outcome.media
    picture = Image.open(io.BytesIO(base64.b64decode(media["base64"])))
    assert (media["type"], media["format"], media["width"], media["height"]) == (
        "image",
        (picture.format or "").lower(),
        *picture.size,
    )
    return picture


def test_metadata_and_what_it_is(place: Path) -> None:
    result = process(place).result
    assert result == {
        "format": "png",
        "mime_type": "image/png",
        "width": 40,
        "height": 20,
        "mode": "RGB",
        "has_transparency": False,
        "frames": 1,
        "dpi": [pytest.approx(72, abs=0.1)] * 2,
        "size_bytes": (place / "a.png").stat().st_size,
        "exif": {},
    }
    assert process(place, "detect").result == {"format": "png", "mime_type": "image/png"}
    for name in ("file_path", "path"):
        assert call_tool("image-processor", {name: str(place / "a.png")}, read=[str(place)]).result == result


@pytest.mark.parametrize(
    ("arguments", "size"),
    [
        ({"width": 20}, (20, 10)),
        ({"height": 40}, (80, 40)),
        ({"width": 20, "height": 20}, (20, 10)),
        ({"width": 20, "height": 20, "maintain_aspect_ratio": False}, (20, 20)),
        ({"height": 5, "maintain_aspect_ratio": False}, (40, 5)),
    ],
)
def test_resize(place: Path, arguments: dict[str, Any], size: tuple[int, int]) -> None:
    picture = made(process(place, "resize", **arguments))
    assert picture.size == size
    assert (picture.getpixel((0, 0)), picture.getpixel((size[0] - 1, 0))) == (RED, BLUE)


def test_thumbnails_only_become_smaller(place: Path) -> None:
    assert made(process(place, "thumbnail", max_width=10)).size == (10, 5)
    assert made(process(place, "thumbnail", max_height=10)).size == (20, 10)
    assert made(process(place, "thumbnail")).size == (40, 20)


def test_crop(place: Path) -> None:
    picture = made(process(place, "crop", x=19, y=1, width=2, height=3))
    assert picture.size == (2, 3)
    assert (picture.getpixel((0, 0)), picture.getpixel((1, 0))) == (RED, BLUE)
    assert made(process(place, "crop", width=1, height=1)).getpixel((0, 0)) == RED
    assert "beyond the picture's 40×20" in process(place, "crop", x=39, width=2, height=1).said
    with pytest.raises(InvalidRequest, match="'height'"):
        process(place, "crop", width=1)


def test_rotate_turns_clockwise(place: Path) -> None:
    picture = made(process(place, "rotate"))
    assert picture.size == (20, 40)
    assert (picture.getpixel((0, 0)), picture.getpixel((0, 39))) == (RED, BLUE)
    assert made(process(place, "rotate", degrees=180)).getpixel((0, 0)) == BLUE
    assert made(process(place, "rotate", degrees=45)).size[0] > 40


@pytest.mark.parametrize("kind", ["png", "jpeg", "jpg", "gif", "webp", "PNG"])
def test_convert(place: Path, kind: str) -> None:
    assert made(process(place, "convert", target_format=kind)).size == (40, 20)
    result = process(place, "convert", target_path=f"b.{kind.lower()}").result
    with Image.open(place / f"b.{kind.lower()}") as picture:
        assert (picture.format or "").lower() == result["format"]
    assert result["size_bytes"] == (place / f"b.{kind.lower()}").stat().st_size


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "1", "CMYK", "I;16"])
def test_every_mode_of_pixels_becomes_every_format(place: Path, mode: str) -> None:
    name = "m.tiff" if mode in ("CMYK", "I;16") else "m.png"
    source = Image.new("RGBA", (4, 4), (255, 0, 0, 0)).convert(
        "RGB" if mode == "CMYK" else "L" if mode == "I;16" else mode
    )
    (source.convert(mode) if mode in ("CMYK", "I;16") else source).save(place / name)
    for kind in ("png", "jpeg", "gif", "webp"):
        for operation in ("convert", "thumbnail", "rotate"):
            assert made(process(place, operation, name, target_format=kind)).size == (4, 4)


def test_what_is_transparent_is_white_in_a_jpeg(place: Path) -> None:
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(place / "t.png")
    assert made(process(place, "convert", "t.png", target_format="jpeg")).getpixel((0, 0)) == (255, 255, 255)


def test_a_picture_is_turned_as_the_camera_was(place: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "Maker"
    with Image.open(place / "a.png") as picture:
        picture.save(place / "c.jpg", exif=exif)
    assert process(place, source="c.jpg").result["exif"] == {"Orientation": 6, "Make": "Maker"}
    assert made(process(place, "convert", "c.jpg", target_format="png")).size == (20, 40)


def test_of_a_moving_picture_the_first_frame_is_taken_and_said(place: Path) -> None:
    frames = [Image.new("RGB", (5, 5), (shade, 0, 0)) for shade in (0, 100, 200)]
    frames[0].save(place / "m.gif", save_all=True, append_images=frames[1:])
    assert process(place, source="m.gif").result["frames"] == 3
    called = process(place, "convert", "m.gif", target_format="png")
    assert called.result["source_frames"] == 3
    assert called.outcome is not None
    assert "the first of 3 frames" in called.outcome.message


def test_what_is_wrong_is_said(place: Path) -> None:
    (place / "text").write_text("no picture")
    assert "is not a picture" in process(place, source="text").said
    assert "no such file" in process(place, source="absent.png").said
    data = (place / "a.png").read_bytes()
    (place / "cut.png").write_bytes(data[:-30])
    assert "is damaged" in process(place, "convert", "cut.png", target_format="gif").said
    for operation, arguments in (
        ("resize", {}),
        ("convert", {}),
        ("convert", {"target_path": "b.xyz"}),
        ("convert", {"target_path": "b.png", "target_format": "gif"}),
        ("convert", {"target_format": "tiff"}),
        ("resize", {"width": 0}),
        ("paint", {}),
    ):
        with pytest.raises(InvalidRequest):
            process(place, operation, **arguments)
    with pytest.raises(Forbidden):
        call_tool("image-processor", {"path": str(place / "a.png")})
    arguments = {"operation": "convert", "path": str(place / "a.png"), "target_path": str(place / "b.png")}
    with pytest.raises(Forbidden):
        call_tool("image-processor", arguments, read=[str(place)])
    with pytest.raises(Forbidden, match="more than 10"):
        process(place, tables={"media": {"max_file_size": 10}})


@pytest.mark.parametrize("kind", ["eps", "ps", "pdf", "svg", "fits", "wmf"])
def test_formats_that_other_programs_read_are_no_pictures_here(place: Path, kind: str) -> None:
    heads = {
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",
        "ps": b"%!PS\n",
        "pdf": b"%PDF-1.4\n",
    }
    (place / f"x.{kind}").write_bytes(heads.get(kind, b"<svg xmlns='http://www.w3.org/2000/svg'/>"))
    assert "is not a picture" in process(place, source=f"x.{kind}").said


def png(width: int, height: int) -> bytes:
    """A PNG file that says it has so many pixels, with next to none."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("width", "height"), [(60_000, 60_000), (2**31 - 1, 2**31 - 1), (4097, 1), (1, 4097), (5000, 5000)]
)
@pytest.mark.parametrize("operation", ["metadata", "detect", "thumbnail", "rotate"])
def test_a_picture_of_too_many_pixels_is_refused_by_its_header(
    place: Path, width: int, height: int, operation: str
) -> None:
    (place / "huge.png").write_bytes(png(width, height))
    assert (
        "more than" in process(place, operation, "huge.png").said
        or "exceeds" in process(place, operation, "huge.png").said
    )


def test_a_picture_hidden_in_an_icon_is_held_to_the_same(place: Path) -> None:
    inner = png(60_000, 60_000)
    (place / "x.ico").write_bytes(struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(inner), 22) + inner)
    assert process(place, "convert", "x.ico", target_format="png").said


def test_results_are_held_to_the_same_size(place: Path) -> None:
    for arguments in ({"width": 4097}, {"height": 1, "width": 100_000, "maintain_aspect_ratio": False}):
        assert "image_max_dimensions" in process(place, "resize", **arguments).said
    small = {"media": {"image_max_dimensions": "40x20"}}
    assert process(place, "rotate", degrees=30, tables=small).said


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "ICO", "PPM"]), st.data())
def test_a_changed_file_is_read_or_refused(place: Path, kind: str, data: st.DataObject) -> None:
    file = io.BytesIO()
    Image.new("RGB", (32, 32), RED).save(file, format=kind)
    changed = bytearray(file.getvalue())
    for _ in range(data.draw(st.integers(1, 6))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    (place / "changed").write_bytes(changed)
    for operation in ("metadata", "thumbnail"):
        process(place, operation, "changed", **({"target_format": "png"} if operation == "thumbnail" else {}))
