"""image-processor: what a picture is, and the same in another size, format, part or direction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from llmspell_tools.contract import Call, Outcome, Tool, ToolFailure
from llmspell_tools.media.pictures import Format, demand_size, format_of, given, opened
from llmspell_tools.parameters import ToolParameters, missing, parameter

if TYPE_CHECKING:
    from PIL.Image import Image

_EXIF = ("Make", "Model", "Software", "DateTime", "Artist", "Copyright", "Orientation", "ImageDescription")


class Parameters(ToolParameters):
    """What `image-processor` is called with."""

    operation: Literal["detect", "metadata", "resize", "convert", "crop", "rotate", "thumbnail"] = parameter(
        "what to do", "metadata"
    )
    source_path: str = parameter("the picture", also=("file_path", "path", "input"))
    target_path: str | None = parameter("a file for the result; left out: the call's media", None)
    width: int | None = parameter("resize, crop: in pixels", None, ge=1)
    height: int | None = parameter("resize, crop: in pixels", None, ge=1)
    x: int = parameter("crop: the left edge", 0, ge=0)
    y: int = parameter("crop: the upper edge", 0, ge=0)
    degrees: float = parameter("rotate: clockwise", 90)
    maintain_aspect_ratio: bool = parameter("resize: within width and height, of the same shape", True)
    target_format: Format | None = parameter("png, jpeg, gif, webp; left out: the path's, else the source's", None)
    max_width: int = parameter("thumbnail: at most so wide", 200, ge=1)
    max_height: int = parameter("thumbnail: at most so high", 200, ge=1)

    @classmethod
    def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
        """`jpg` is jpeg."""
        wanted = given.get("target_format")
        if isinstance(wanted, str):
            given = {**given, "target_format": {"jpg": "jpeg"}.get(wanted.lower(), wanted.lower())}
        return given


def run(wanted: Parameters, call: Call) -> Outcome:
    """Does what the operation says; of a moving picture with its first frame."""
    media, path = call.tables["media"], wanted.source_path
    limit = int(media.get("max_file_size", 524_288_000))
    with call.files.open(path, largest_bytes=limit) as file, opened(file, path, media) as picture:
        kind = (picture.format or "").lower()
        if wanted.operation == "detect":
            return _detected(picture, kind)
        if wanted.operation == "metadata":
            return _described(picture, kind, file.seek(0, 2))
        frames = int(getattr(picture, "n_frames", 1))
        made = _made(_upright(picture), wanted, media)
    target = format_of(wanted.target_path, wanted.target_format, kind)
    if wanted.operation == "convert" and wanted.target_format is None and wanted.target_path is None:
        raise missing("target_format", "target_path")
    result, pictures = given(made, target, wanted.target_path, call)
    result = {"source_path": path, **result}
    message = f"{result['width']}×{result['height']} {target}"
    if frames > 1:
        result["source_frames"] = frames
        message += f", the first of {frames} frames"
    output = wanted.target_path if wanted.target_path is not None else result
    return Outcome(operation=wanted.operation, result=result, output=output, message=message, media=pictures)


def _upright(picture: Image) -> Image:
    """As it is meant to be seen: cameras only note how they were held."""
    from PIL import ImageOps

    picture.load()
    return ImageOps.exif_transpose(picture)


def _made(picture: Image, wanted: Parameters, media: Any) -> Image:
    # Pillow is there: the picture was opened by it.
    from PIL.Image import Resampling

    width, height = picture.size
    match wanted.operation:
        case "resize":
            if wanted.width is None and wanted.height is None:
                raise missing("width", "height")
            size = _resized(width, height, wanted)
            demand_size("the result", *size, media)
            return _smooth(picture).resize(size, Resampling.LANCZOS)
        case "thumbnail":
            ratio = min(wanted.max_width / width, wanted.max_height / height, 1)
            return _smooth(picture).resize(_scaled(width, height, ratio), Resampling.LANCZOS)
        case "crop":
            if wanted.width is None or wanted.height is None:
                raise missing("width" if wanted.width is None else "height")
            right, lower = wanted.x + wanted.width, wanted.y + wanted.height
            if right > width or lower > height:
                raise ToolFailure(f"{right}×{lower} is beyond the picture's {width}×{height} pixels")
            return picture.crop((wanted.x, wanted.y, right, lower))
        case "rotate":
            if wanted.degrees % 90 == 0:
                return picture.rotate(-wanted.degrees, expand=True)
            made = _smooth(picture).rotate(-wanted.degrees, Resampling.BICUBIC, expand=True)
            demand_size("the result", *made.size, media)
            return made
    return picture


def _resized(width: int, height: int, wanted: Parameters) -> tuple[int, int]:
    if not wanted.maintain_aspect_ratio:
        return wanted.width or width, wanted.height or height
    ratios = [wanted.width / width] if wanted.width is not None else []
    ratios += [wanted.height / height] if wanted.height is not None else []
    return _scaled(width, height, min(ratios))


def _scaled(width: int, height: int, ratio: float) -> tuple[int, int]:
    return max(1, round(width * ratio)), max(1, round(height * ratio))


def _smooth(picture: Image) -> Image:
    """In a mode whose pixels can be mixed: those of a palette can't."""
    if picture.mode in ("RGB", "RGBA", "L", "LA"):
        return picture
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB")


def _detected(picture: Image, kind: str) -> Outcome:
    result = {"format": kind, "mime_type": _mime_type(picture)}
    return Outcome(operation="detect", result=result, output=kind, message=kind)


def _mime_type(picture: Image) -> str | None:
    from PIL.Image import MIME

    return MIME.get(picture.format or "")


def _described(picture: Image, kind: str, size: int) -> Outcome:
    from PIL.ExifTags import TAGS

    width, height = picture.size
    exif = {TAGS.get(tag, str(tag)): value for tag, value in picture.getexif().items()}
    dpi = picture.info.get("dpi")
    result = {
        "format": kind,
        "mime_type": _mime_type(picture),
        "width": width,
        "height": height,
        "mode": picture.mode,
        "has_transparency": picture.has_transparency_data,
        "frames": int(getattr(picture, "n_frames", 1)),
        "dpi": [float(one) for one in dpi] if isinstance(dpi, tuple) else None,
        "size_bytes": size,
        "exif": {
            name: value if isinstance(value, int) else str(value).rstrip("\0")
            for name, value in exif.items()
            if name in _EXIF and not isinstance(value, bytes)
        },
    }
    return Outcome(operation="metadata", result=result, output=result, message=f"{width}×{height} {kind}")


TOOL = Tool(
    name="image-processor",
    description="Tells what a picture is; resizes, converts, crops and turns it, and makes thumbnails.",
    category="media",
    level="safe",
    parameters=Parameters,
    run=run,
    needs=("read", "write"),
    settings=("media", "file_operations"),
    result=(
        "detect: {format, mime_type}; metadata: {format, mime_type, width, height, mode, has_transparency, frames, "
        "dpi, size_bytes, exif}; others: {source_path, target_path?, format, width, height, size_bytes, source_frames?}"
    ),
    keywords=("picture", "photo", "png", "jpeg", "resize", "thumbnail"),
)
