"""Requests as tokens, and tokens as text. Knows the tokenizer's own library, not the model.

Everything here goes through the library's immutable calls: several threads ask at once, and its padding, truncation and
handling of special tokens are switches on the one object, which fail in the thread that finds another one using it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from llmspell_providers.candle.control_words import ControlWords
from llmspell_providers.candle.generation import refused_by_template
from llmspell_providers.candle.transformer.row import Decode
from llmspell_providers.openai_chat import bare_text, chat_body

_TAIL = 8
"""Tokens of a raw prompt that tell how its continuation is written: SentencePiece drops a text's first space."""
_INVALID_PREFIX = "Invalid prefix encountered"
"""The library's words when the text so far changes with the next token (github.com/vllm-project/vllm/issues/17448)."""


class Prompts:
    """A tokenizer of transformers, for prompts and replies."""

    def __init__(self, tokenizer: Any, *, is_encoder_decoder: bool) -> None:
        self._tokenizer = tokenizer
        self._library = copy.deepcopy(tokenizer.backend_tokenizer)
        self._library.no_padding()
        self._library.no_truncation()
        self._plain = copy.deepcopy(self._library)
        self._plain.encode_special_tokens = True
        self._words = ControlWords(
            lambda text, control: (self._library if control else self._plain).encode(text, add_special_tokens=False).ids
        )
        self._is_encoder_decoder = is_encoder_decoder

    def tokens(self, request: Mapping[str, Any]) -> list[int]:
        """The prompt of a request.

        A conversation goes through the model's chat template. Without one a single message is its text as it is, and
        several are their texts one below the other, without the names of who spoke.

        Raises:
            InvalidRequest: the template refuses the messages.
        """
        body = chat_body(request, words=self._words)
        if "prompt" in body:
            return self._encode(body["prompt"], special=True)
        messages = body["messages"]
        if not self._tokenizer.chat_template:
            return self._encode(bare_text(messages), special=True)
        # What transformers renders templates with.
        from jinja2 import TemplateError

        try:
            text = self._tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        except TemplateError as error:
            raise refused_by_template(str(error)) from error
        return self._encode(text, special=False)

    def plain_tokens(self, text: str) -> list[int]:
        """The tokens of a text in which special ones are nothing but characters."""
        tokens: list[int] = self._plain.encode(text, add_special_tokens=False).ids
        return tokens

    def decoder(self, request: Mapping[str, Any], prompt: Sequence[int]) -> Decode:
        """What makes text of the reply's tokens, one by one."""
        goes_on = not self._is_encoder_decoder and ("prompt" in chat_body(request) or not self._tokenizer.chat_template)
        return _Decoder(self._library, list(prompt[-_TAIL:]) if goes_on else [])

    def _encode(self, text: str, *, special: bool) -> list[int]:
        tokens: list[int] = self._library.encode(text, add_special_tokens=special).ids
        return tokens


class _Decoder:
    def __init__(self, library: Any, before: list[int]) -> None:
        # Part of transformers' own dependencies, and typed nowhere.
        from tokenizers.decoders import DecodeStream

        self._library = library
        self._new = DecodeStream
        self._stream = DecodeStream(ids=before, skip_special_tokens=True)
        self._open: list[int] = []
        """Tokens that have given no text so far."""

    def __call__(self, token: int) -> str | None:
        try:
            piece: str | None = self._stream.step(self._library, token)
        except Exception as error:
            # The library raises nothing more exact. Begun anew, it goes on with this token.
            if _INVALID_PREFIX not in str(error):
                raise
            self._stream = self._new(skip_special_tokens=True)
            piece = self._stream.step(self._library, token)
        self._open = [*self._open, token] if piece is None else []
        return piece

    def end(self) -> str:
        """What is left (see `Decode.end`); the library writes what is no character as U+FFFD."""
        text: str = self._library.decode(self._open, skip_special_tokens=True) if self._open else ""
        return text
