"""Rows about RAG through a kernel: how well passages are found, how fast they get in, and a search from cold.

The passages and questions are `benchmarks.retrieval`'s; the embedding model is the default one.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.kernel_process import MeasuredKernel
from benchmarks.result import Result, Wanted, compared
from benchmarks.retrieval.judge import Judgement, judge
from benchmarks.retrieval.questions import QUESTION_KINDS, Question, passages, questions
from benchmarks.stage import Stage

EMBEDDER = "all-minilm:l6-v2"
DIMENSION = 384
SEARCHED = 10
RUNS_A_ROUND = 3
_BATCH = 32
_UNCACHED = {"LLMSPELL_RAG__EMBEDDING__CACHE_ENABLED": "false", "LLMSPELL_RAG__CACHE__SEARCH_CACHE_ENABLED": "false"}
_LOAD = "import sys; from usearch.index import Index; index = Index.restore(sys.argv[1]); assert len(index)"


def rag_quality(stage: Stage) -> Iterator[Result]:
    """nDCG@10 of words, of vectors, and of both together, which must be as good as the better one."""
    kernel = _kernel(stage)
    _ingest(kernel, "default", [passage.text for passage in passages()], [passage.id for passage in passages()])
    found = {method: _rankings(kernel, method) for method in ("words", "vectors", "hybrid")}
    judged = {method: _judged(rankings, questions()) for method, rankings in found.items()}
    alone = max(judged["words"].ndcg, judged["vectors"].ndcg)
    for method, one in judged.items():
        together = method == "hybrid"
        yield Result(
            name=f"rag_{method}",
            what=f"nDCG@10 of {method} over {len(questions())} questions and {len(passages())} passages",
            value=one.ndcg,
            unit="nDCG@10",
            baseline=alone if together else None,
            baseline_what="the better of words and vectors" if together else None,
            ratio=one.ndcg / alone if together else None,
            wanted=Wanted(bound=1, at="least") if together else None,
            # The same at every run.
            rounds=1,
            spread=0,
            foreign_cpu=0,
            details={
                "recall": one.recall,
                "mrr": one.mrr,
                **{kind: _judged(found[method], _of(kind)).ndcg for kind in QUESTION_KINDS},
            },
        )


def rag_ingest(stage: Stage) -> Iterator[Result]:
    """Texts into a collection, against the embedding model alone with the same texts."""
    kernel = _kernel(stage)
    texts = [passage.text for passage in passages()]
    collections = count()
    yield compared(
        "rag_ingest",
        stage.referee.compare(
            lambda: len(texts) / _ingest(kernel, f"c{next(collections)}", texts),
            lambda: len(texts) / _embed(kernel, texts),
        ),
        what=f"{len(texts)} documents of a passage each, into a collection",
        baseline_what="model_request embed of the same texts",
        unit="documents/s",
        wanted=Wanted(bound=0.95, at="least"),
    )


def rag_cold(stage: Stage) -> Iterator[Result]:
    """`llmspell rag search` where no kernel runs, against an interpreter that imports usearch and loads that index."""
    kernel = _kernel(stage)
    _ingest(kernel, "default", [passage.text for passage in passages()])
    kernel.close()
    index = stage.directory / "index.usearch"
    _save(index, len(passages()))
    command = stage.home.command("--embedded", "rag", "search", "How much is the fine for a late return?")
    for name, words in (("rag_cold", ()), ("rag_cold_words", ("--method", "words"))):
        yield compared(
            name,
            stage.referee.compare(
                lambda words=words: _seconds([*command, *words], stage.home.environment),
                lambda: _seconds([sys.executable, "-c", _LOAD, str(index)], stage.home.environment),
            ),
            what=f"whole process, median of {RUNS_A_ROUND}{', by words alone' if words else ''}",
            baseline_what="python -c: import usearch, load the index",
            unit="s",
            wanted=Wanted(bound=1.5),
        )


def _kernel(stage: Stage) -> MeasuredKernel:
    stage.home.run("model", "pull", EMBEDDER)
    kernel = MeasuredKernel(stage.home, settings=_UNCACHED)
    stage.callback(kernel.close)
    kernel.ask("load", model=EMBEDDER, keep_alive=-1)
    return kernel


def _rag(kernel: MeasuredKernel, action: str, **content: Any) -> dict[str, Any]:
    reply = kernel.client.request("rag_request", {"action": action, **content}).result(600).content
    assert reply["status"] == "ok", reply
    return reply


def _ingest(kernel: MeasuredKernel, collection: str, texts: Sequence[str], ids: Sequence[str] = ()) -> float:
    names = ids or [str(number) for number in range(len(texts))]
    documents = [{"id": name, "text": text} for name, text in zip(names, texts, strict=True)]
    began = time.monotonic()
    reply = _rag(kernel, "ingest", collection=collection, documents=documents, model=EMBEDDER, progress=False)
    seconds = time.monotonic() - began
    assert reply["added"] == len(texts), reply
    return seconds


def _embed(kernel: MeasuredKernel, texts: Sequence[str]) -> float:
    began = time.monotonic()
    for first in range(0, len(texts), _BATCH):
        kernel.ask("embed", model=EMBEDDER, input=list(texts[first : first + _BATCH]))
    return time.monotonic() - began


def _rankings(kernel: MeasuredKernel, method: str) -> Mapping[str, Sequence[str]]:
    return {
        question.id: [
            hit["document"] for hit in _rag(kernel, "search", query=question.text, k=SEARCHED, method=method)["hits"]
        ]
        for question in questions()
    }


def _judged(rankings: Mapping[str, Sequence[str]], asked: Sequence[Question]) -> Judgement:
    return judge(rankings, {question.id: question.answers for question in asked}, at=SEARCHED)


def _of(kind: str) -> Sequence[Question]:
    return [question for question in questions() if question.kind == kind]


def _seconds(command: Sequence[str], environment: Mapping[str, str]) -> float:
    return statistics.median(_one(command, environment) for _ in range(RUNS_A_ROUND))


def _one(command: Sequence[str], environment: Mapping[str, str]) -> float:
    began = time.monotonic()
    subprocess.run(command, env=dict(environment), check=True, capture_output=True)
    return time.monotonic() - began


def _save(path: Path, count: int) -> None:
    """An index of usearch's own with so many vectors."""
    # Extras, which only this row needs.
    import numpy as np
    from usearch.index import Index

    index = Index(ndim=DIMENSION, metric="cos", dtype="f32")
    index.add(np.arange(count), np.random.default_rng(0).standard_normal((count, DIMENSION), dtype=np.float32))
    index.save(str(path))
