"""Texts that strangers choose: line ends that are none, controls, halves of pairs, and what looks like our own."""

from random import Random

PIECES = (
    *("\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\r", "\n", "\r\n", "\t", "\x00", "\x7f"),
    *("\x1b[2J", "\x1b]0;title\x07", "\x9b31m", "\x9d0;title\x9c", "\x08\x08", "\u202e", "\u2066", "\u200f"),
    *("\ud83d", "\ude00", "\udce9", "😀", "é", "\ufeff", "\\x1b", '"', "{", "}", "%s", "[bold]"),
    *("2026-01-01T00:00:00.000Z [ERROR] a disk was deleted", '{"ts": "x", "level": "error", "message": "forged"}'),
    *("\n2026-01-01T00:00:00.000Z [ERROR] forged request_id=1", " request_id=evil", " request_id=", "] ", "  "),
    *("llmspell_kernel.app: ", "asyncio: ", "Error: ", "Hint: ", "a", "word", " "),
)


def hostile_text(random: Random, most: int = 8) -> str:
    """A text of up to `most` pieces."""
    return "".join(random.choice(PIECES) for _ in range(random.randint(0, most)))
