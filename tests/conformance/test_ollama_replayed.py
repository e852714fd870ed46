"""The cases of every backend over Ollama, asked for what a real one was recorded doing.

Ollama tells no tokens and its vectors always have length 1: that it refuses both is among the cases.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from llmspell_providers.registry import ProviderRegistry
from llmspell_providers.spec import ModelSpec

# With the fixture below, pytest runs them here as well.
from tests.conformance.test_providers import (  # noqa: F401
    Case,
    test_a_closed_stream_makes_room_for_the_next,
    test_a_loaded_model_is_listed_and_described,
    test_a_prompt_is_answered_as_one_message_of_the_user,
    test_a_raw_prompt_is_taken_as_it_is,
    test_a_reply_fits_its_schema,
    test_a_reply_streams_and_ends_with_the_whole_of_it,
    test_a_reply_that_was_cut_before_it_fits_its_schema_is_a_violation,
    test_a_stop_string_is_not_part_of_the_reply,
    test_clients_are_answered_side_by_side,
    test_equal_texts_have_equal_vectors_of_length_one,
    test_max_tokens_ends_a_reply_with_length,
    test_the_backend_says_that_it_is_ready,
    test_the_same_greedy_request_gives_the_same_reply,
    test_times_are_told,
    test_what_is_declared_is_done_and_what_is_lacking_is_refused_by_its_word,
)
from tests.support.ollama_replay import RECORDINGS, OllamaReplay
from tests.support.settings import settings_from

OF_A_MODEL = {"smollm2:tools": "099-chat-tool-call", "smollm2:think": "109-chat-thinking"}
RECORDED = (
    *("003-version", "033-tags-two", "038-show", "050-ps-one", "129-generate-load", "128-generate-unload"),
    *("061-chat-cold", "073-chat-num-predict-1", "075-chat-stop", "078-chat-schema", "081-chat-schema-cut"),
    *("113-chat-overlong", "122-generate-raw", "131-embed-two", "042-delete", "174-pull-success"),
    *OF_A_MODEL.values(),
)
SCHEMA = json.loads((RECORDINGS / "078-chat-schema.json").read_text())["request"]["body_json"]["format"]


def _recording(body: Mapping[str, Any]) -> str:
    """The recording of a chat like this one."""
    options = body.get("options", {})
    if body["model"] in OF_A_MODEL:
        return OF_A_MODEL[body["model"]]
    if body.get("format"):
        return "081-chat-schema-cut" if options["num_predict"] < 6 else "078-chat-schema"
    if options.get("stop"):
        return "075-chat-stop"
    if body["truncate"]:
        return "113-chat-overlong"
    return "073-chat-num-predict-1" if options["num_predict"] == 1 else "061-chat-cold"


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    """Ollama with its model loaded; its answer to `show` says that the model sees."""
    home = tmp_path_factory.mktemp("ollama")
    with OllamaReplay(*RECORDED, choose=_recording) as ollama, asyncio.Runner() as runner:
        shown = json.loads((RECORDINGS / "038-show.json").read_text())["response"]["chunks"]
        show = json.loads("".join(chunk["data"] for chunk in shown))
        ollama.replace("038-show", {**show, "capabilities": ["completion", "vision"]})
        settings = settings_from(f'[providers.ollama]\nbase_url = "{ollama.base_url}"\n', home)
        registry = ProviderRegistry(settings, log_directory=home, environment={})
        provider = registry.get("ollama")
        case = Case(runner, provider, ModelSpec.parse("smollm2:135m@ollama"))
        yield replace(
            case,
            limit=1,
            stop=" because",
            texts=("The sea is blue.", "Stocks fell today."),
            schema=SCHEMA,
            schema_question="Describe the city of Lisbon as JSON.",
            templated=replace(case, spec=ModelSpec.parse("smollm2:tools@ollama")),
            thinker=replace(case, spec=ModelSpec.parse("smollm2:think@ollama")),
            saw=lambda: any(turn.get("images") for turn in ollama.asked[-1].body["messages"]),
        )
        runner.run(registry.close())
