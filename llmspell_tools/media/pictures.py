"""Pictures: opened within limits, and written in one of a few formats. Knows no tool."""

from __future__ import annotations

import base64
import io
import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from llmspell_protocol.errors import InvalidRequest
from llmspell_tools.extra_libraries import library
from llmspell_tools.outcome import ToolFailure

if TYPE_CHECKING:
    from PIL.Image import Image

    from llmspell_tools.contract import Call

Format = Literal["png", "jpeg", "gif", "webp"]

READ = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "ICO", "PPM", "TGA")
"""What is opened: formats that Pillow reads by itself, without other programs."""
_ENDINGS: Mapping[str, Format] = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".gif": "gif", ".webp": "webp"}
_DAMAGED = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, AttributeError, OverflowError)
"""What Pillow raises about a file; SyntaxError is its word for one that is broken."""


def largest(media: Mapping[str, Any]) -> tuple[int, int]:
    """The most pixels across and down, of `tools.media.image_max_dimensions`."""
    width, _, height = str(media.get("image_max_dimensions") or "4096x4096").partition("x")
    return int(width), int(height)


def demand_size(what: str, width: int, height: int, media: Mapping[str, Any]) -> None:
    """Raises `ToolFailure` for a picture that is larger than it may be."""
    across, down = largest(media)
    if width > across or height > down:
        raise ToolFailure(
            f"{what}: {width:,}×{height:,} pixels are more than {across:,}×{down:,} (tools.media.image_max_dimensions)"
        )


@contextmanager
def opened(file: BinaryIO, path: str, media: Mapping[str, Any]) -> Iterator[Image]:
    """A picture whose pixels may be read: not larger than it may be. Its first frame, where it has several.

    Raises:
        Unsupported: Pillow is not installed.
        ToolFailure: it is no picture, too large, or damaged.
    """
    pillow: Any = library("PIL.Image", "pillow", "reading pictures")
    library("PIL.ImageOps", "pillow", "reading pictures")
    across, down = largest(media)
    # Ours is by the sides; this one counts for what is inside as well.
    pillow.MAX_IMAGE_PIXELS = across * down
    try:
        with _strict(pillow), pillow.open(file, formats=READ) as picture:
            demand_size(path, picture.width, picture.height, media)
            yield picture
    except (pillow.DecompressionBombError, pillow.DecompressionBombWarning) as error:
        raise ToolFailure(f"{path}: {error}") from None
    except _DAMAGED as error:
        what = "is not a picture that can be read" if "cannot identify" in str(error) else f"is damaged: {error}"
        raise ToolFailure(f"{path} {what}") from None


@contextmanager
def _strict(pillow: Any) -> Iterator[None]:
    """What is hidden in a picture (an icon's frames) may be larger than the picture says: an error, no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", pillow.DecompressionBombWarning)
        # Remarks on damaged files are no business of the process.
        warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
        log = logging.getLogger("PIL")
        level = log.level
        log.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            log.setLevel(level)


def format_of(target_path: str | None, named: Format | None, otherwise: str) -> Format:
    """The format of what is written: the one that is named, the path's, or the source's.

    Raises:
        InvalidRequest: the path names another one, or none that is written.
    """
    by_path = _ENDINGS.get(os.path.splitext(target_path)[1].lower()) if target_path is not None else None
    if named is not None:
        if by_path is not None and by_path != named:
            raise InvalidRequest(f"{target_path} ends with {by_path}'s ending, and target_format is {named}")
        return named
    if target_path is not None:
        if by_path is None:
            raise InvalidRequest(f"{target_path} ends with none of {' '.join(_ENDINGS)}", hint="name the target_format")
        return by_path
    lower = otherwise.lower()
    return next((one for one in _ENDINGS.values() if one == lower), "png")


def encoded(picture: Image, kind: Format) -> bytes:
    """The picture as a file's content; what is transparent is white where the format has no transparency."""
    # Pillow is there: a picture has been opened by it.
    from PIL import Image

    if kind == "jpeg" and picture.mode not in ("RGB", "L"):
        if picture.has_transparency_data:
            seen = picture.convert("RGBA")
            picture = Image.new("RGB", picture.size, "white")
            picture.paste(seen, mask=seen.getchannel("A"))
        else:
            picture = picture.convert("RGB")
    elif picture.mode not in ("RGB", "RGBA", "L", "LA") and not (kind == "gif" and _is_palette(picture)):
        picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    file = io.BytesIO()
    picture.save(file, format=kind.upper(), **({"quality": 90} if kind in ("jpeg", "webp") else {}))
    return file.getvalue()


def _is_palette(picture: Image) -> bool:
    """Whether a GIF file takes it as it is: one color at most is transparent."""
    return picture.mode in ("1", "P") and not isinstance(picture.info.get("transparency"), bytes)


def given(
    picture: Image, kind: Format, target_path: str | None, call: Call
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What a call gives of a picture: written to a file, or as media. `(result, media)`."""
    data = encoded(picture, kind)
    width, height = picture.size
    result: dict[str, Any] = {"format": kind, "width": width, "height": height, "size_bytes": len(data)}
    if target_path is not None:
        call.files.write(target_path, data)
        return {"target_path": target_path, **result}, []
    media = {
        "type": "image",
        "format": kind,
        "base64": base64.b64encode(data).decode(),
        "width": width,
        "height": height,
    }
    return result, [media]
