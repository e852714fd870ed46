"""An engine that is llama.cpp's server, wherever that runs: slots, reading ahead, chats, embeddings.

Knows what the server is asked, not how the questions get there (`ServerCalls`), nor how it was started.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from llmspell_protocol.errors import ModelError
from llmspell_protocol.scores import TokenCounts
from llmspell_providers.candle.control_words import ControlWords
from llmspell_providers.candle.demanded_calls import Silent, call_body, call_of
from llmspell_providers.candle.engine import Ability, EngineCancelled, Outcome, Prepared, Ranking, Reply, Vectors
from llmspell_providers.candle.generation import DISCARD, Generation, OnChunk, engine_error, of_text
from llmspell_providers.candle.prompt_pieces import PieceReader, PieceTimes, ReadAhead
from llmspell_providers.candle.slots import Place, SlotTable, Talk
from llmspell_providers.candle.speculation import Speculation
from llmspell_providers.openai_chat import chat_body
from llmspell_providers.schemas.tools import must_call
from llmspell_providers.token_estimate import CHARACTERS_A_TOKEN
from llmspell_providers.vectors import packed

_BETWEEN = -1
"""Stands between texts whose tokens are counted; no vocabulary has it."""


class ServerCalls(Protocol):
    """How llama.cpp's server is asked; every method may be called from several threads at once.

    A request that the server refuses is a chunk, or an answer, with `error`.
    """

    def chat(self, body: Mapping[str, Any], on_chunk: OnChunk) -> None:
        """Streams a chat completion; returns when the stream has ended or `on_chunk` has asked to stop."""

    def complete(self, body: Mapping[str, Any], on_chunk: OnChunk) -> None:
        """Streams the completion of a raw prompt, like `chat`."""

    def embed(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Makes embeddings."""

    def rerank(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Scores documents for a query."""

    def get(self, path: str) -> Any:
        """The parsed answer to a GET; raises `ModelError` for any status but 200."""

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The parsed answer to a POST, like `get`."""


class ServerEngine:
    """A model loaded by llama.cpp's server."""

    name: str
    lacks: frozenset[Ability]
    pids: Sequence[int] = ()

    def __init__(
        self,
        server: ServerCalls,
        prepared: Prepared,
        *,
        version: str,
        device: str,
        speculation: Speculation,
    ) -> None:
        self.version = version
        self._server = server
        self.slots = prepared.launch.slots
        self.context_size = prepared.context_size
        self.device = device
        self.speculation = speculation
        self.tools = prepared.tools
        self._has_template = prepared.has_template
        self._words = ControlWords(self._tokens)
        self._lock = threading.Lock()
        self._embedding = threading.Lock()
        self._added: int | None = None
        self._table = SlotTable(self.slots, keeps_evicted=prepared.launch.prompt_cache_bytes > 0)
        self._reader = PieceReader(prepared.batch_size)

    def chat(self, request: Mapping[str, Any], reply: Reply) -> Outcome:
        """Generates one reply (see `Engine.chat`)."""
        if must_call(request["tools"], request["tool_choice"]):
            return call_of(self._chat(call_body(request, self.context_size, self._words), request, Silent(reply)))
        body = chat_body(request, self.context_size, has_template=self._has_template, words=self._words)
        return self._chat(body, request, reply)

    def _chat(self, asked: Mapping[str, Any], request: Mapping[str, Any], reply: Reply) -> Outcome:
        body = {**asked, "stream": True, "stream_options": {"include_usage": True}}
        talk = Talk.of(body)
        with self._lock:
            place = self._table.take(talk)
        if place is None:
            # More requests than slots: the engine queues this one and takes whichever slot comes free.
            body["return_progress"] = True
            return self._generate(body, reply, request["options"].get("max_tokens"), None)
        tokens = 0
        try:
            ahead = None
            if self._is_long(body, place):
                # Its chunks are looks at a cancel, too; a short prompt is read in less time than they take.
                body["return_progress"] = True
                ahead = self._read_ahead(body, place, reply)
            if not place.saves or ahead is not None:
                body["id_slot"] = place.slot.number
            outcome = self._generate(body, reply, request["options"].get("max_tokens"), ahead)
            talk, tokens = talk.answered(outcome.text), outcome.prompt_tokens + outcome.completion_tokens
            return outcome
        finally:
            with self._lock:
                self._table.give_back(place.slot, talk, tokens)

    def _generate(
        self, body: Mapping[str, Any], reply: Reply, max_tokens: int | None, ahead: ReadAhead | None
    ) -> Outcome:
        generation = Generation(reply, speculates=self.speculation != "off")
        is_raw = "prompt" in body
        (self._server.complete if is_raw else self._server.chat)(body, generation.on_chunk)
        generation.raise_failure()
        outcome = generation.outcome(max_tokens, self.context_size)
        if ahead is None:
            return outcome
        prefill_ms = ahead.prefill_ms + outcome.prefill_ms
        return replace(outcome, cached_tokens=ahead.cached_tokens, prefill_ms=prefill_ms)

    def _is_long(self, body: Mapping[str, Any], place: Place) -> bool:
        """Whether more is to be read than two pieces."""
        characters = len(body["prompt"]) if "prompt" in body else sum(len(one["content"]) for one in body["messages"])
        # An estimate will do: it only decides whether counting is worth two milliseconds.
        return characters >= CHARACTERS_A_TOKEN * (place.known_tokens + 2 * self._reader.size)

    def _read_ahead(self, body: Mapping[str, Any], place: Place, reply: Reply) -> ReadAhead | None:
        """Reads a long prompt in pieces; None for one that the request itself will be refused for."""
        try:
            prompt = body["prompt"] if "prompt" in body else self._server.post("/apply-template", body)["prompt"]
            question = {"content": prompt, "add_special": True, "parse_special": True}
            tokens: list[int] = self._server.post("/tokenize", question)["tokens"]
        except ModelError:
            return None
        if len(tokens) >= self.context_size:
            return None
        is_first = True

        def send(beginning: Sequence[int]) -> PieceTimes:
            nonlocal is_first
            piece: dict[str, Any] = {"prompt": [*beginning], "max_tokens": 0, "stream": True}
            if not (is_first and place.saves):
                piece["id_slot"] = place.slot.number
            is_first = False
            generation = Generation(DISCARD)
            self._server.complete(piece, generation.on_chunk)
            generation.raise_failure()
            return generation.piece_times()

        return self._reader.read(tokens, place.known_tokens, send, reply)

    def embed(self, texts: Sequence[str], reply: Reply, *, normalize: bool) -> Vectors:
        """One vector a text (see `Engine.embed`)."""
        rows: list[list[float]] = []
        prompt_tokens = 0
        # One at a time: texts of unequal length in one batch are cut to equal pieces, and each vector is then the mean
        # of its text's last piece alone.
        with self._embedding:
            for text in texts:
                if reply.cancelled:
                    raise EngineCancelled
                with self._lock:
                    self._table.overwrite(1)
                answer = self._server.embed({"input": [text], "embd_normalize": 2 if normalize else -1})
                if "error" in answer:
                    raise of_text(engine_error(answer["error"]), len(rows), len(texts))
                rows.append(answer["data"][0]["embedding"])
                prompt_tokens += answer["usage"]["prompt_tokens"]
        return Vectors(data=packed(rows), count=len(rows), dimensions=len(rows[0]), prompt_tokens=prompt_tokens)

    def rerank(self, query: str, texts: Sequence[str], reply: Reply) -> Ranking:
        """A score a text (see `Engine.rerank`)."""
        scores: list[float] = []
        prompt_tokens = 0
        # One at a time, as texts to be embedded.
        with self._embedding:
            for place, text in enumerate(texts):
                if reply.cancelled:
                    raise EngineCancelled
                with self._lock:
                    self._table.overwrite(1)
                answer = self._server.rerank({"query": query, "documents": [text]})
                if "error" in answer:
                    raise of_text(engine_error(answer["error"]), place, len(texts))
                scores.append(float(answer["results"][0]["relevance_score"]))
                prompt_tokens += answer["usage"]["prompt_tokens"]
        return Ranking(scores=scores, prompt_tokens=prompt_tokens)

    def count_tokens(self, texts: Sequence[str]) -> TokenCounts:
        """Tokens of many texts (see `Engine.count_tokens`)."""
        if self._added is None:
            empty = {"content": "", "add_special": True, "parse_special": False}
            self._added = len(self._server.post("/tokenize", empty)["tokens"])
        # One question for all: the server takes texts and tokens in turn, and gives back what is a token already.
        content = [part for text in texts for part in (text, _BETWEEN)]
        counts: list[int] = []
        count = 0
        question = {"content": content, "add_special": False, "parse_special": False}
        for token in self._server.post("/tokenize", question)["tokens"]:
            if token == _BETWEEN:
                counts.append(count)
                count = 0
            else:
                count += 1
        return TokenCounts(counts=counts, added=self._added)

    def tokenize(self, text: str) -> list[int]:
        """The token ids of a text (see `Engine.tokenize`)."""
        return self._tokens(text, False)

    def _tokens(self, text: str, control: bool) -> list[int]:
        question = {"content": text, "add_special": False, "parse_special": control}
        tokens: list[int] = self._server.post("/tokenize", question)["tokens"]
        return tokens

    def busy_slots(self) -> int:
        """How many slots work at this moment."""
        return sum(slot["is_processing"] for slot in self._server.get("/slots"))

    def trim(self) -> None:
        """Empties idle slots: what they hold of their conversations, checkpoints among it, is read anew."""
        with self._lock:
            for slot in self._table.forget_idle():
                self._server.post(f"/slots/{slot}?action=erase", {})

    def close(self) -> None:
        """Nothing runs beside this process."""
