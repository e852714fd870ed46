"""RAG: what a script asks for, and what it gets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.lua_kernel import LuaBench, refused, reply

HIT: dict[str, Any] = {
    "id": "tides#0",
    "document": "tides",
    "title": "Tides",
    "source": None,
    "text": "High water comes twice a day.",
    "score": 0.75,
    "metadata": {"kind": "sea"},
    "page": None,
    "section": "Sea",
    "line": 1,
    "start": 0,
    "end": 29,
    "tokens": 7,
    "by_words": 1,
    "by_vectors": 2,
}
INGESTED: dict[str, Any] = {
    "ids": ["tides"],
    "added": 1,
    "changed": 0,
    "unchanged": 0,
    "removed": 0,
    "skipped": [],
    "failed": [],
    "chunks": 2,
    "vectors": 1,
    "tokens": 9,
    "model": "minilm@candle",
    "dimension": 384,
    "warnings": [],
}
FOUND: dict[str, Any] = {
    "hits": [HIT],
    "count": 1,
    "method": "hybrid",
    "model": "minilm@candle",
    "exact": True,
    "warnings": [],
    "duration_ms": 1.0,
}
ANSWERED: dict[str, Any] = {
    "answer": "Twice a day [1].",
    "found": True,
    "citations": [{"number": 1, "cited": True, "hit": HIT}],
    "left_out": 0,
    "chat_model": "smollm2",
    "usage": {"completion_tokens": 5},
    "warnings": [],
    "duration_ms": 2.0,
}


@pytest.fixture
def bench() -> LuaBench:
    bench = LuaBench()
    bench.kernel.answers["rag ingest"] = reply(**INGESTED)
    bench.kernel.answers["rag search"] = reply(**FOUND)
    bench.kernel.answers["rag ask"] = reply(**ANSWERED)
    return bench


def asked(bench: LuaBench) -> dict[str, Any]:
    """The last request's content, without what is empty."""
    return {key: value for key, value in bench.kernel.requests[-1][1].items() if value not in (None, [], {})}


# Ingest


@pytest.mark.parametrize("name", ["ingest", "ingest_batch"])
def test_documents_are_taken_in_and_counted(bench: LuaBench, name: str) -> None:
    code = f"local r = RAG.{name}({{content = 'High water', metadata = {{kind = 'sea'}}}}) return r"
    found = bench.value(code)
    assert {key: found[key] for key in ("success", "documents_processed", "chunks_created", "vectors_created")} == {
        "success": True,
        "documents_processed": 1,
        "chunks_created": 2,
        "vectors_created": 2,
    }
    assert (found["total_tokens"], found["ids"], found["dimensions"]) == (9, ["tides"], 384)
    assert asked(bench)["documents"] == [{"text": "High water", "metadata": {"kind": "sea"}}]


def test_the_result_of_an_ingest_is_a_text_too_its_first_id(bench: LuaBench) -> None:
    assert bench.value("return string.format('%s', RAG.ingest {text = 'x'})") == "tides"


def test_documents_with_places_of_their_own_go_there(bench: LuaBench) -> None:
    bench.value(
        "RAG.ingest({{text = 'a', scope = 'user', scope_id = 'ada'}, {text = 'b', tenant_id = 'acme'}, {text = 'c'}},"
        " {collection = 'notes'}) return 1"
    )
    sent = [content for _, content in bench.kernel.requests]
    assert [(one.get("tenant"), one.get("scope"), one.get("scope_id"), one["collection"]) for one in sent] == [
        (None, "user", "ada", "notes"),
        ("acme", None, None, "notes"),
        (None, None, None, "notes"),
    ]


def test_options_of_an_ingest_are_passed_on(bench: LuaBench) -> None:
    bench.value(
        "RAG.ingest({text = 'a', id = 7}, {scope = 'session', session_id = 's1', chunk_size = 256, chunk_overlap = 32,"
        " ttl = 60, provider = 'openai', model = 'text-embedding-3-large', metadata = {a = 1}}) return 1"
    )
    content = asked(bench)
    assert content["chunking"] == {"chunk_size": 256, "overlap": 32}
    assert (content["ttl_s"], content["model"], content["metadata"]) == (
        60,
        "openai/text-embedding-3-large",
        {"a": 1},
    )
    assert (content["scope"], content["scope_id"], content["documents"][0]["id"]) == ("session", "s1", "7")


def test_a_chunking_table_goes_before_single_options(bench: LuaBench) -> None:
    bench.value("RAG.ingest({text = 'a'}, {chunking = {chunk_size = 99, strategy = 'sentence'}}) return 1")
    assert asked(bench)["chunking"] == {"chunk_size": 99, "strategy": "sentence"}


def test_files_and_addresses_are_named_in_documents(bench: LuaBench) -> None:
    bench.value("RAG.ingest {{path = 'docs'}, {url = 'https://a.example/'}} return 1")
    content = asked(bench)
    assert (content["paths"], content["urls"]) == (["docs"], ["https://a.example/"])


def test_a_document_that_failed_is_told_and_the_others_are_there(bench: LuaBench) -> None:
    problem = {"source": "a.pdf", "code": "invalid_request", "message": "it is damaged", "hint": None}
    bench.kernel.answers["rag ingest"] = reply(**{**INGESTED, "failed": [problem]})
    assert bench.value("local r = RAG.ingest {text = 'x'} return {r.success, #r.ids, r.failed[1].source}") == [
        False,
        1,
        "a.pdf",
    ]
    assert bench.kernel.errors == "warning: a.pdf: it is damaged\n"


@pytest.mark.parametrize(
    "document", ["{}", "{content = ''}", "{content = '  '}", "{content = 5}", "{content = {}}", "{{text = 'a'}, 'b'}"]
)
def test_a_document_without_a_text_raises(bench: LuaBench, document: str) -> None:
    assert bench.caught(f"RAG.ingest({document})") == ("Validation error: Document requires 'content' or 'text' field")


@pytest.mark.parametrize("argument", ["nil", "'text'", "5"])
def test_what_is_no_document_at_all_raises(bench: LuaBench, argument: str) -> None:
    assert "bad argument #1 to 'RAG.ingest' (table expected" in bench.caught(f"RAG.ingest({argument})")


# Search


@pytest.mark.parametrize("call", ["RAG.search('tides', {k = 3})", "RAG.search {query = 'tides', top_k = 3}"])
def test_a_search_is_a_list_and_a_table_at_once(bench: LuaBench, call: str) -> None:
    code = (
        f"local r = {call} local n = 0 for _, one in ipairs(r) do n = n + 1 end local keys = {{}} "
        "for key in pairs(r) do keys[#keys + 1] = key end table.sort(keys) "
        "return {#r, n, r[1].id, r.results[1].text, r.total, r.success, keys}"
    )
    length, visited, id, text, total, success, keys = bench.value(code)
    assert (length, visited, id, text, total, success) == (1, 1, "tides", HIT["text"], 1, True)
    assert keys == ["exact", "method", "model", "results", "success", "total"]
    assert (asked(bench)["query"], asked(bench)["k"]) == ("tides", 3)


def test_an_item_has_content_score_and_metadata(bench: LuaBench) -> None:
    item = bench.value("return RAG.search('tides')[1]")
    assert (item["content"], item["score"], item["metadata"]["kind"]) == (HIT["text"], 0.75, "sea")
    assert (item["chunk"], item["section"], item["start"], item["end"]) == ("tides#0", "Sea", 0, 29)


@pytest.mark.parametrize("name", ["metadata_filter", "filters", "filter"])
def test_filter_and_threshold_are_passed_on(bench: LuaBench, name: str) -> None:
    bench.value(f"RAG.search('x', {{threshold = 0.5, {name} = {{kind = {{'a', 'b'}}}}, tenant_id = 't'}}) return 1")
    content = asked(bench)
    assert (content["threshold"], content["filter"], content["tenant"]) == (0.5, {"kind": ["a", "b"]}, "t")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("RAG.search()", "query must be a string (got no value)"),
        ("RAG.search(5)", "query must be a string (got number)"),
        ("RAG.search({k = 3})", "query must be a string (got no value)"),
        ("RAG.search('  ')", "query must not be empty"),
        ("RAG.search('x', {k = 0})", "k must be a positive integer"),
        ("RAG.search('x', {k = -1})", "k must be a positive integer"),
        ("RAG.search('x', {k = '3'})", "k must be a positive integer"),
        ("RAG.search('x', {top_k = 2.5})", "k must be a positive integer"),
        ("RAG.search('x', {limit = 10001})", "k must be a positive integer, at most 10000"),
        ("RAG.search('x', {filters = 'a'})", "RAG.search: the filter must be a table (got string)"),
        ("RAG.search('x', {threshold = 2})", "RAG.search: threshold must be a number from 0 to 1"),
        ("RAG.search('x', {tresholds = 1})", "RAG.search has no option 'tresholds'"),
    ],
)
def test_what_makes_no_search_raises(bench: LuaBench, call: str, said: str) -> None:
    assert bench.caught(call).startswith(f"Validation error: {said}")
    assert bench.kernel.requests == []


def test_the_kernels_own_refusals_raise(bench: LuaBench) -> None:
    bench.kernel.answers["rag search"] = refused("invalid_request", "a tenant is needed: rag.multi_tenant is on")
    assert bench.caught("RAG.search('x')") == "Validation error: a tenant is needed: rag.multi_tenant is on"
    bench.kernel.answers["rag search"] = refused("config_error", "RAG not configured")
    assert "RAG not configured" in bench.caught("RAG.search('x')")


def test_warnings_are_told_once(bench: LuaBench) -> None:
    bench.kernel.answers["rag search"] = reply(**{**FOUND, "warnings": ["the index was made anew"]})
    bench.value("RAG.search('x') RAG.search('x') return 1")
    assert bench.kernel.errors == "warning: the index was made anew\n"


# Answers


def test_an_answer_has_citations(bench: LuaBench) -> None:
    code = "local r = RAG.ask('when?', {k = 2, model = 'smollm2', temperature = 0}) return {r, tostring(r)}"
    found, text = bench.value(code)
    assert (found["answer"], found["found"], text) == ("Twice a day [1].", True, "Twice a day [1].")
    (one,) = found["citations"]
    assert (one["number"], one["cited"], one["id"], one["text"]) == (1, True, "tides", HIT["text"])
    content = asked(bench)
    assert (content["query"], content["k"], content["chat_model"], content["temperature"]) == (
        "when?",
        2,
        "smollm2",
        0,
    )
    assert content["stream"] is False


def test_without_a_passage_there_is_no_answer(bench: LuaBench) -> None:
    bench.kernel.answers["rag ask"] = reply(**{**ANSWERED, "answer": None, "found": False, "citations": []})
    assert bench.value("local r = RAG.ask('x') return {r.found, r.answer == nil, tostring(r)}") == [
        False,
        True,
        "nothing that answers this was found",
    ]


STREAM = [("delta", {"text": "Twice "}), ("delta", {"text": "a day [1]."}), *reply(**ANSWERED)]


@pytest.mark.parametrize(
    "call",
    [
        "RAG.ask('x', {on_token = function(text) pieces[#pieces + 1] = text end})",
        "RAG.ask('x', function(chunk) pieces[#pieces + 1] = chunk.text end)",
        "RAG.ask('x', {}, function(chunk) pieces[#pieces + 1] = chunk.text end)",
    ],
)
def test_an_answer_comes_as_it_is_written(bench: LuaBench, call: str) -> None:
    bench.kernel.answers["rag ask"] = STREAM
    assert bench.value(f"local pieces = {{}} local r = {call} return {{pieces, r.answer}}") == [
        ["Twice ", "a day [1]."],
        "Twice a day [1].",
    ]
    assert asked(bench)["stream"] is True


def test_false_from_the_function_ends_the_answer(bench: LuaBench) -> None:
    bench.kernel.answers["rag ask"] = STREAM
    found = bench.value("local r = RAG.ask('x', {on_token = function() return false end}) return r")
    assert (found["answer"], found["stopped"]) == ("Twice ", True)
    assert bench.kernel.closed == [1]


# Settings of the script, and what is there


def test_what_was_configured_is_used_where_a_call_does_not_say(bench: LuaBench) -> None:
    bench.value(
        "RAG.configure {provider = 'openai', model = 'm', chunking = {chunk_size = 100}, threshold = 0.3, k = 7,"
        " collection = 'notes'} RAG.ingest {text = 'a'} RAG.search('q') RAG.search('q', {k = 1, threshold = 0}) "
        "return 1"
    )
    ingest, first, second = (content for _, content in bench.kernel.requests)
    assert (ingest["model"], ingest["chunking"]["chunk_size"], ingest["collection"]) == ("openai/m", 100, "notes")
    assert (first["k"], first["threshold"], first["collection"]) == (7, 0.3, "notes")
    assert (second["k"], second["threshold"]) == (1, 0)


def test_nested_tables_of_configure_are_read(bench: LuaBench) -> None:
    bench.value("RAG.configure {embedding = {provider = 'candle', model = 'minilm'}, search = {k = 2}} return 1")
    bench.value("RAG.ingest {text = 'a'} return RAG.search('q').total")
    (_, ingest), (_, search) = bench.kernel.requests
    assert (ingest["model"], search["k"]) == ("minilm@candle", 2)


def test_dimensions_that_do_not_fit_are_a_warning_and_no_error(bench: LuaBench) -> None:
    bench.kernel.answers["rag model"] = reply(model="minilm@candle", dimension=384, warnings=[])
    assert bench.value("return RAG.configure {dimensions = 768}") is True
    assert bench.kernel.errors == (
        "warning: RAG.configure: dimensions is 768, and the vectors of minilm@candle have 384\n"
    )
    bench.kernel.answers["rag model"] = refused("config_error", "no model that makes vectors is installed")
    assert bench.value("return RAG.configure {dimensions = 768}") is True


@pytest.mark.parametrize("options", ["{k = 0}", "{chunking = 5}", "{chunk_size = 'big'}", "{no_such = 1}", "5"])
def test_what_is_wrong_in_configure_raises(bench: LuaBench, options: str) -> None:
    bench.caught(f"RAG.configure({options})")


def test_config_is_the_settings_and_can_not_be_changed(bench: LuaBench) -> None:
    bench.kernel.answers["kernel settings"] = reply(settings={"rag": {"multi_tenant": True, "enabled": True}})
    assert bench.value("return RAG.config.multi_tenant") is True
    assert bench.value("local n = 0 for _ in pairs(RAG.config) do n = n + 1 end return n") == 2
    assert "can't be changed" in bench.caught("RAG.config.multi_tenant = false")


def test_statistics_have_all_keys(bench: LuaBench) -> None:
    counts = dict.fromkeys(("documents", "chunks", "vectors", "bytes", "collections"), 1)
    counts |= dict.fromkeys(("embeddings", "embedding_tokens", "cached", "searches"), 2)
    bench.kernel.answers["rag stats"] = reply(**counts)
    found = bench.value("return RAG.get_stats('user', 'ada')")
    assert (asked(bench)["scope"], asked(bench)["scope_id"]) == ("user", "ada")
    assert {key: found[key] for key in ("total_vectors", "total_storage_bytes", "total_documents", "collections")} == {
        "total_vectors": 1,
        "total_storage_bytes": 1,
        "total_documents": 1,
        "collections": 1,
    }
    assert (found["embeddings_generated"], found["embedding_tokens"], found["searches_performed"]) == (2, 2, 2)


def test_save_gives_true(bench: LuaBench) -> None:
    bench.kernel.answers["rag save"] = reply()
    assert bench.value("return RAG.save()") is True


def test_a_scope_is_cleaned_up_in_both_forms(bench: LuaBench) -> None:
    bench.kernel.answers["rag clear"] = reply(documents=3, chunks=9, bytes_freed=2 << 20)
    assert bench.value("return RAG.cleanup_scope('session', 's1')") == 3
    found = bench.value("return RAG.cleanup_scope {scope = 'session', scope_id = 's1', confirm = true}")
    assert found == {"success": True, "stats": {"documents_removed": 3, "storage_freed_mb": 2}}
    assert asked(bench) == {"action": "clear", "scope": "session", "scope_id": "s1"}
    assert "needs confirm = true" in bench.caught("RAG.cleanup_scope {scope = 'session'}")
    assert bench.value("return RAG.clear('session', 's1')") == 3


def test_delete_says_whether_there_was_one(bench: LuaBench) -> None:
    bench.kernel.answers["rag delete"] = reply(documents=0, chunks=0, bytes_freed=0)
    assert bench.value("return RAG.delete('tides')") is False
    assert asked(bench) == {"action": "delete", "ids": ["tides"]}


def test_all_pages_of_documents_are_listed(bench: LuaBench) -> None:
    first = reply(documents=[{"id": "a"}], count=1, after="a")
    bench.kernel.answers["rag list"] = first
    pages = iter([first, reply(documents=[{"id": "b"}], count=1, after=None)])
    bench.kernel.before_event = lambda: None

    def turn() -> None:
        bench.kernel._events[len(bench.kernel.requests)].clear()
        bench.kernel._events[len(bench.kernel.requests)].extend(next(pages))

    bench.kernel.before_event = turn
    assert bench.value("return #RAG.list()") == 2
    assert [content.get("after") for _, content in bench.kernel.requests] == [None, "a"]


def test_a_sessions_collection_is_made(bench: LuaBench) -> None:
    bench.kernel.answers["rag create"] = reply(collection="session_s1")
    found = bench.value("return RAG.create_session_collection('s1', 60)")
    assert found == {
        "session_id": "s1",
        "namespace": "session_s1",
        "collection": "session_s1",
        "ttl": 60,
        "created": True,
    }
    assert asked(bench) == {"action": "create", "scope": "session", "scope_id": "s1", "ttl_s": 60}
    assert bench.value("return RAG.configure_session {session_id = 's1'}") == {
        "session_id": "s1",
        "vector_ttl": 3600,
        "configured": True,
    }
    for call in (
        "RAG.create_session_collection()",
        "RAG.configure_session {}",
        "RAG.create_session_collection('s', 0)",
    ):
        bench.caught(call)


def test_providers_that_can_make_vectors_are_listed(bench: LuaBench) -> None:
    rows = [
        {"name": "anthropic", "available": True, "embeddings": False},
        {"name": "candle", "available": True, "embeddings": True},
        {"name": "openai", "available": False, "embeddings": True},
    ]
    bench.kernel.answers["model providers"] = reply(providers=rows)
    assert bench.value("return RAG.list_providers()") == ["candle"]


def test_rebuild_and_collections_are_the_kernels(bench: LuaBench) -> None:
    bench.kernel.answers["rag rebuild"] = reply(chunks=3, vectors=0, model="m", dimension=8, index="exact")
    assert bench.value("return RAG.rebuild({collection = 'notes'}).chunks") == 3
    bench.kernel.answers["rag collections"] = reply(collections=[{"collection": "notes"}], count=1, path=None)
    assert bench.value("return RAG.collections()[1].collection") == "notes"


def test_a_failed_call_leaves_the_global_usable(bench: LuaBench) -> None:
    bench.caught("RAG.ingest {}")
    bench.caught("RAG.search('')")
    assert bench.value("return RAG.search('x').total") == 1


def test_without_rag_the_global_is_nil_and_the_hint_says_how_to_have_it() -> None:
    bench = LuaBench(rag=False)
    assert bench.value("return RAG == nil") is True
    failure = bench.failure("RAG.search('x')")
    assert failure.hint == "RAG needs rag.enabled = true: llmspell config set rag.enabled true, or -p rag-dev"
