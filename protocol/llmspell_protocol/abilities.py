"""The words for what a backend can do, and what each means: in a model's `supports`, and in `unsupported`.

A word is an operation on models, something that a request may ask for, an option of a request, or something that comes
unasked. Knows no backend.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from llmspell_protocol.models import SamplingOptions

Word = str

OPERATIONS: Mapping[Word, str] = {
    "list": "lists the models that there are",
    "info": "describes a model",
    "pull": "downloads a model",
    "remove": "deletes a model",
    "verify": "compares a model's files with what was downloaded",
    "load": "loads a model before it is needed, and keeps it",
    "unload": "takes a model out of memory",
    "loaded": "tells what is in memory",
    "chat": "answers a conversation or a prompt",
    "embed": "makes embeddings",
    "tokenize": "tells a text's tokens",
    "rerank": "scores how well texts answer a question, with a model made for that",
}

REQUESTED: Mapping[Word, str] = {
    "raw": "continues a prompt as it is, without a chat template",
    "tools": "calls tools",
    "tool_choice": "is made to call a tool, or one certain tool; a reply without the call is an error",
    "images": "sees the images of a conversation",
    "schema": "holds a reply to a JSON Schema",
    "think": "thinks before it answers, or not, as is asked for",
    "device": "runs a model on the device that is asked for",
    "speculation": "has a model draft, or not, as is asked for",
    "plain_vectors": "gives embeddings as the model made them, of any length",
}
"""What a request may ask for besides the sampling options."""

OPTIONS: Mapping[Word, str] = {item.name: f"takes the option {item.name}" for item in fields(SamplingOptions)}

TOLD: Mapping[Word, str] = {
    "streaming": "sends a reply piece by piece as it is made",
    "reasoning": "tells what the model thinks aloud from its answer",
    "usage": "counts the tokens of prompt and reply",
    "cached_tokens": "tells how much of the prompt was known already",
    "prefill": "tells how much of a long prompt it has read",
    "truncate": "leaves out what does not fit the context, where the request allows it",
    "cancel": "stops working when the request is cancelled",
}
"""What comes unasked, or is allowed rather than asked for: where it is missing nothing is refused."""

WORDS: Mapping[Word, str] = {**OPERATIONS, **REQUESTED, **OPTIONS, **TOLD}
