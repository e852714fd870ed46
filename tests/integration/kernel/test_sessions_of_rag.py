"""What is asked about documents in sessions: recorded as other requests are, and answered in replays."""

from __future__ import annotations

from pathlib import Path

from tests.support.session_talks import RECORDING, Talk, talking

RAG = {**RECORDING, "rag__enabled": True, "models__embedding": "mock/embed"}
TIDES = "RAG.ingest({content = 'High water comes twice a day.', id = 'tides'})"


def test_an_answer_from_documents_is_a_step_with_its_chat_below_it(home: Path) -> None:
    def body(talk: Talk) -> None:
        documents = [{"text": "High water comes twice a day.", "id": "tides"}]
        talk.ask("rag", {"action": "ingest", "documents": documents}, session="s")
        asked = talk.ask("rag", {"action": "ask", "query": "high water", "chat_model": "mock/a"}, session="s")
        steps = talk.steps("s")
        assert [(one["step"], one["action"], one["status"]) for one in steps] == [
            ("1", "rag ingest", "ok"),
            ("2", "rag ask", "ok"),
            ("2.1", "model chat", "ok"),
        ]
        replayed = talk.session("replay", session="s", mode="exact", compare_results=True)
        assert replayed["failed_replays"] == 0
        assert asked["found"] is True

    talking(home, body, **RAG)


def test_what_a_script_asks_is_below_the_script(home: Path) -> None:
    def body(talk: Talk) -> None:
        talk.script(f"{TIDES} return #RAG.search('water')", session="s")
        assert [(one["step"], one["action"]) for one in talk.steps("s")][1:] == [
            ("1.1", "rag ingest"),
            ("1.2", "rag search"),
        ]

    talking(home, body, **RAG)
