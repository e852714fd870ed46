"""How many columns text takes at a terminal, and where a line of it may be broken without a blank."""

from __future__ import annotations

import unicodedata

_NO_START = frozenset(
    "、。，．・：；！？゛゜ー）］｝」』】〉》〕〗〙〛’”…‥々〻ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮ%％℃"
)
"""Signs that no line begins with, in scripts without blanks between words."""
_NO_END = frozenset("（［｛「『【〈《〔〖〘〚‘“$￥")
"""Signs that no line ends with."""
_JOINER = "\u200d"


def width_of(text: str) -> int:
    """The columns that a terminal shows the text in: two for wide signs, none for what combines."""
    if text.isascii():
        return len(text)
    # Needed for what is not ASCII only.
    from wcwidth import wcswidth, wcwidth

    wide = wcswidth(text)
    return wide if wide >= 0 else sum(max(wcwidth(char), 0) for char in text)


def breaks_between(before: str, after: str) -> bool:
    """Whether a line may end between two characters that no blank divides: beside wide ones, as in Chinese."""
    if before.isascii() and after.isascii():
        return False
    if after in _NO_START or before in _NO_END or before == _JOINER:
        return False
    return (_is_wide(before) and _begins_sign(after)) or (_is_wide(after) and before not in "([{\"'*_`")


def _is_wide(char: str) -> bool:
    # Korean has blanks between its words.
    if "\uac00" <= char <= "\ud7a3":
        return False
    return unicodedata.east_asian_width(char) in ("W", "F") and not _is_modifier(char)


def _begins_sign(char: str) -> bool:
    """Whether a character stands for itself, and doesn't belong to the one before."""
    joins = char == _JOINER or unicodedata.category(char) in ("Mn", "Me", "Mc") or _is_modifier(char)
    return not joins and not (char.isascii() and not char.isalnum())


def _is_modifier(char: str) -> bool:
    """Skin tones, variation selectors."""
    return "\U0001f3fb" <= char <= "\U0001f3ff" or "\ufe00" <= char <= "\ufe0f"
