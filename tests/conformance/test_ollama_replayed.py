"""The cases of every backend over Ollama, as far as a real one was recorded doing what they ask for.

Not among them: cases about replies that nobody recorded (cut after three tokens, ended by a stop string out of the
reply itself, fitting the cases' schema, three vectors), and tokens, which Ollama does not tell.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from llmspell_protocol.errors import Unsupported
from llmspell_providers.registry import ProviderRegistry
from llmspell_providers.spec import ModelSpec

# With the fixture below, pytest runs them here as well.
from tests.conformance.test_providers import (  # noqa: F401
    Case,
    test_a_closed_stream_makes_room_for_the_next,
    test_a_loaded_model_is_listed_and_described,
    test_a_prompt_is_answered_as_one_message_of_the_user,
    test_a_raw_prompt_is_taken_as_it_is,
    test_a_reply_streams_and_ends_with_the_whole_of_it,
    test_a_reply_that_was_cut_before_it_fits_its_schema_is_a_violation,
    test_clients_are_answered_side_by_side,
    test_the_backend_says_that_it_is_ready,
    test_the_same_greedy_request_gives_the_same_reply,
    test_times_are_told,
)
from tests.support.ollama_replay import OllamaReplay
from tests.support.settings import settings_from

RECORDED = (
    *("003-version", "033-tags-two", "038-show", "050-ps-one", "129-generate-load"),
    *("061-chat-cold", "081-chat-schema-cut", "122-generate-raw"),
)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    """Ollama with its model loaded."""
    home = tmp_path_factory.mktemp("ollama")
    with OllamaReplay(*RECORDED) as ollama, asyncio.Runner() as runner:
        settings = settings_from(f'[providers.ollama]\nbase_url = "{ollama.base_url}"\n', home)
        registry = ProviderRegistry(settings, log_directory=home, environment={})
        yield Case(runner, registry.get("ollama"), ModelSpec.parse("smollm2:135m@ollama"))
        runner.run(registry.close())


def test_what_the_other_cases_need_and_ollama_lacks_is_declared(case: Case) -> None:
    with pytest.raises(Unsupported, match="'tokenize'"):
        case.run(case.provider.tokenize(case.spec, "hello world"))
