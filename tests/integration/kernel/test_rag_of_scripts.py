"""The global RAG over a real kernel: every function, the places, and what a script may read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from llmspell_protocol.errors import ScriptError
from tests.support.command_line import llmspell
from tests.support.rag_kernel import SETTINGS, Rag, rag_kernel


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rag]:
    with rag_kernel(tmp_path_factory.mktemp("rag")) as rag:
        yield rag


@pytest.fixture
def rag(kernel: Rag) -> Rag:
    kernel("clear")
    return kernel


@pytest.fixture(autouse=True)
def _nothing_stays_behind() -> None:
    """The tests share a kernel, which keeps its workers."""


TIDES = "RAG.ingest({content = 'High water comes twice a day.', id = 'tides', metadata = {kind = 'sea'}})"
BREAD = "RAG.ingest({content = 'Bread needs flour and yeast.', id = 'bread', metadata = {kind = 'food'}})"
CASES = {
    "ingest": (
        f"local r = {TIDES} return {{r.success, r.documents_processed, r.chunks_created, r.vectors_created, "
        "r.total_tokens > 3, r.ids[1], string.format('%s', r)}",
        [True, 1, 1, 1, True, "tides", "tides"],
    ),
    "ingest_batch": (
        "local r = RAG.ingest_batch {{content = 'a sea'}, {text = 'a moon', id = 'm'}} return {#r.ids, r.ids[2]}",
        [2, "m"],
    ),
    "search": (
        f"{TIDES} {BREAD} local r = RAG.search('flour yeast', {{k = 1}}) return {{#r, r[1].id, r.results[1].content, "
        "r.total, r[1].score > 0, r[1].metadata.kind}",
        [1, "bread", "Bread needs flour and yeast.", 1, True, "food"],
    ),
    "search by a table": (
        f"{TIDES} {BREAD} local r = RAG.search {{query = 'water', top_k = 5, filters = {{kind = 'sea'}}}} "
        "return {#r, r[1].id}",
        [1, "tides"],
    ),
    "a scope and the collection of its name are one place": (
        "RAG.ingest({content = 'a note of ada', id = 'n'}, {scope = 'user', scope_id = 'ada'}) "
        "local by_name = RAG.search('note', {collection = 'user_ada'}) "
        "local elsewhere = RAG.search('note', {scope = 'user', scope_id = 'bob'}) "
        "local n = RAG.cleanup_scope('user', 'ada') return {#by_name, #elsewhere, n}",
        [1, 0, 1],
    ),
    "ask": (
        f"{TIDES} local r = RAG.ask('high water?', {{model = 'mock/chat', k = 1}}) "
        "return {r.found, r.answer:match('Passages') ~= nil, r.citations[1].id, r.citations[1].cited, r.left_out}",
        [True, True, "tides", True, 0],
    ),
    "ask with on_token": (
        f"{TIDES} local pieces = {{}} local r = RAG.ask('high water?', {{model = 'mock/chat', k = 1, "
        "on_token = function(text) pieces[#pieces + 1] = text end}) "
        "return {#pieces > 3, table.concat(pieces) == r.answer}",
        [True, True],
    ),
    "ask that is ended": (
        f"{TIDES} local r = RAG.ask('high water?', {{model = 'mock/chat', on_token = function() return false end}}) "
        "return {r.stopped, #r.answer > 0}",
        [True, True],
    ),
    "ask without passages": (
        "local r = RAG.ask('x') return {r.found, r.answer == nil, #r.citations}",
        [False, True, 0],
    ),
    "configure": (
        f"{TIDES} RAG.configure {{k = 1, threshold = 0, chunking = {{chunk_size = 200}}}} "
        "return {RAG.configure {provider = 'local'}, #RAG.search('water')}",
        [True, 1],
    ),
    "config": ("return {RAG.config.multi_tenant, RAG.config.embedding.batch_size}", [False, 32]),
    "get_stats": (
        f"{TIDES} local s = RAG.get_stats('global') return {{s.total_documents, s.total_vectors, "
        "s.total_storage_bytes > 0, s.collections, s.embeddings_generated > 0, s.searches_performed >= 0}",
        [1, 1, True, 1, True, True],
    ),
    "save": (f"{TIDES} return RAG.save()", True),
    "delete": (f"{TIDES} return {{RAG.delete('tides'), RAG.delete('tides'), #RAG.search('water')}}", [True, False, 0]),
    "clear": (f"{TIDES} {BREAD} return {{RAG.clear(), #RAG.list()}}", [2, 0]),
    "list": (f"{TIDES} {BREAD} local l = RAG.list() return {{#l, l[1].id, l[1].metadata.kind}}", [2, "bread", "food"]),
    "collections": (f"{TIDES} local c = RAG.collections() return {{c[1].collection, c[1].documents}}", ["default", 1]),
    "rebuild": (
        f"{TIDES} local r = RAG.rebuild {{model = 'mock/other'}} return {{r.vectors, r.model}}",
        [1, "mock/other@mock"],
    ),
    "create_session_collection": (
        "local c = RAG.create_session_collection('s1', 3600) RAG.ingest({content = 'x y'}, {session_id = 's1'}) "
        "local n = RAG.get_stats('session', 's1').total_documents "
        "local gone = RAG.cleanup_scope {scope = 'session', scope_id = 's1', confirm = true} "
        "return {c.namespace, c.ttl, c.created, n, gone}",
        ["session_s1", 3600, True, 1, None],
    ),
    "configure_session": (
        "local c = RAG.configure_session {session_id = 's2'} RAG.clear('session', 's2') "
        "return {c.vector_ttl, c.configured}",
        [3600, True],
    ),
    "list_providers": ("for _, name in ipairs(RAG.list_providers()) do if name == 'candle' then return 1 end end", 1),
    "errors leave it usable": (
        f"{TIDES} local n = 0 for _, call in ipairs {{function() RAG.search() end, "
        "function() RAG.search('x', {k = 0}) end, "
        "function() RAG.search('x', {filters = 1}) end, function() RAG.ingest({content = 5}) end, "
        "function() RAG.ingest({}) end} do if not pcall(call) then n = n + 1 end end "
        "return {n, #RAG.search('water')}",
        [5, 1],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_function_does_what_it_says(rag: Rag, name: str) -> None:
    code, expected = CASES[name]
    found = rag.ran(code)
    if name == "create_session_collection":
        assert found[4]["stats"]["documents_removed"] == 1
        found[4] = None
    assert found == expected


def test_progress_of_an_ingest_is_told_to_a_function(rag: Rag) -> None:
    code = (
        "local stages = {} RAG.ingest({content = 'a sea'}, {on_progress = function(p) stages[p.stage] = true end}) "
        "return stages.looking"
    )
    assert rag.ran(code) is True


# What a script may read


def test_a_script_reads_below_its_directories_and_no_further(rag: Rag, tmp_path: Path) -> None:
    inside, outside = tmp_path / "work", tmp_path / "elsewhere"
    for directory in (inside, outside):
        directory.mkdir()
        (directory / "note.txt").write_text("a note about tides")
    (inside / "link.txt").symlink_to(outside / "note.txt")
    found = rag.ran("local r = RAG.ingest {path = '.'} return r.ids", cwd=str(inside))
    assert found == [f"{inside}/note.txt"]
    with pytest.raises(ScriptError, match="Path not allowed"):
        rag.ran(f"RAG.ingest {{path = '{outside}/note.txt'}}", cwd=str(inside))
    with pytest.raises(ScriptError, match="Path not allowed"):
        rag.ran("RAG.ingest {path = '../elsewhere'}", cwd=str(inside))
    with pytest.raises(ScriptError, match="Path not allowed"):
        rag.ran("RAG.ingest {path = 'link.txt'}", cwd=str(inside))
    assert rag("list")["count"] == 1


def test_a_grant_lets_a_script_read_more(rag: Rag, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("a note about tides")
    code = f"return RAG.ingest({{path = '{tmp_path}'}}).ids"
    with pytest.raises(ScriptError, match="Path not allowed"):
        rag.ran(code)
    assert rag.ran(code, allow={"read": [str(tmp_path)]}) == [f"{tmp_path}/note.txt"]


# Both modes, and what is off


def test_a_command_and_a_kernel_have_the_same_documents(home: Path) -> None:
    (home / "config.toml").write_text(SETTINGS)
    code = "print(RAG.ingest({content = 'High water comes twice a day.', id = 'tides'}).added)"
    assert llmspell("exec", code).out == "1\n"
    assert llmspell("exec", "print(RAG.search('water')[1].id)").out == "tides\n"
    assert llmspell("exec", "print(RAG.ask('water', {model = 'mock/chat'}).found)").out == "true\n"


def test_without_rag_there_is_no_global(tmp_path: Path) -> None:
    with rag_kernel(tmp_path / "home", "") as rag:
        assert rag.ran("return {RAG == nil, pcall(function() return RAG.search('x') end)}")[:2] == [True, False]
        with pytest.raises(ScriptError) as failed:
            rag.ran("RAG.search('x')")
    assert failed.value.hint == "RAG needs rag.enabled = true: llmspell config set rag.enabled true, or -p rag-dev"


def test_a_context_from_before_rag_was_switched_off_is_told_so(tmp_path: Path) -> None:
    with rag_kernel(tmp_path / "home") as rag:
        cell = {"silent": False, "store_history": True, "allow_stdin": False}

        def run(code: str) -> None:
            rag.client.request("execute_request", {**cell, "code": code}).result()

        run(f"{TIDES} assert(#RAG.search('water') == 1)")
        settings = tmp_path / "home" / "settings.toml"
        settings.write_text(SETTINGS.replace("enabled = true", "enabled = false"))
        rag.client.request("kernel_request", {"action": "reload_config"}).result()
        run("ok, problem = pcall(RAG.search, 'water')")
        with pytest.raises(ScriptError, match="RAG not configured"):
            run("error(problem)")


def test_a_tenant_has_to_be_named_where_there_are_tenants(tmp_path: Path) -> None:
    with rag_kernel(tmp_path / "home", SETTINGS + "multi_tenant = true\n") as rag:
        with pytest.raises(ScriptError, match="Validation error: a tenant is needed"):
            rag.ran("RAG.search('x')")
        code = (
            "RAG.ingest({content = 'a sea', tenant_id = 'acme'}) local mine = RAG.search('sea', {tenant_id = 'acme'}) "
            "return {RAG.config.multi_tenant, #mine, #RAG.search('sea', {tenant_id = 'other'})}"
        )
        assert rag.ran(code) == [True, 1, 0]
