"""What is noted of operations, and which inputs are refused, as the settings say."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.identity import Caller
from llmspell_kernel.request import Request
from llmspell_kernel.services.rag.watching import PACKAGE_LOG, Watch
from llmspell_protocol.errors import Busy, ConfigError, InvalidRequest, LlmspellError, NotFound
from tests.support.recording_sink import RecordingSink
from tests.support.settings import settings_from
from tests.support.virtual_time import run_in_virtual_time


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """A watch with these settings, and operations for it."""

    def __init__(self, home: Path, toml: str) -> None:
        settings = settings_from(toml, home).rag
        self.clock = Clock()
        self.watch = Watch(lambda: settings, self.clock)

    def do(self, *, tenant: str = "", takes_s: float = 0.0, fails: LlmspellError | None = None, times: int = 1) -> None:
        async def operations() -> None:
            caller = Caller(client="cli", session="s", key_id="key-1")
            request = Request("1", "rag_request", {}, caller, RecordingSink())
            for _ in range(times):
                try:
                    async with self.watch.operation(request, "search", tenant, "notes") as done:
                        done.figures["hits"] = 3
                        self.clock.now += takes_s
                        if fails is not None:
                            raise fails
                except LlmspellError as error:
                    if error is not fails:
                        raise
            self.watch.close()

        asyncio.run(operations())


def test_an_audit_line_says_who_what_and_when_and_no_content(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "audit.log"
    bench = Bench(tmp_path, f'[rag.security]\nenable_audit_logging = true\naudit_log_path = "{path}"\n')
    bench.do(tenant="acme", takes_s=0.25)
    bench.do(fails=NotFound("no such thing"))
    first, second = (json.loads(line) for line in path.read_text().splitlines())
    del first["time"]
    assert first == {
        "key": "key-1",
        "client": "cli",
        "kind": "client",
        "action": "search",
        "tenant": "acme",
        "collection": "notes",
        "outcome": "ok",
        "duration_ms": 250.0,
        "hits": 3,
    }
    assert (second["outcome"], second["tenant"]) == ("not_found", None)
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_audit_log_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    bench = Bench(tmp_path, f'[rag.security]\nenable_audit_logging = true\naudit_log_path = "{tmp_path}"\n')
    with pytest.raises(ConfigError, match="can't be written"):
        bench.do()


def test_an_audit_log_whose_directory_cannot_be_made_names_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    bench = Bench(tmp_path, f'[rag.security]\nenable_audit_logging = true\naudit_log_path = "{tmp_path}/file/a.log"\n')
    with pytest.raises(ConfigError, match="it is a file") as caught:
        bench.do()
    assert "rag.security.audit_log_path" in str(caught.value.hint)


def test_a_dump_that_cannot_be_written_is_a_warning_and_not_the_search_s_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    bench = Bench(tmp_path, f'[rag.debug]\nsave_debug_dumps = true\ndebug_dump_path = "{tmp_path}/file/dumps"\n')
    asyncio.run(bench.watch.dump("search", "x", {}, []))
    assert "it is a file" in caplog.text


def test_operations_are_limited_for_each_tenant_where_that_is_wanted(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "[rag.security]\nenable_rate_limiting = true\nrate_limit_per_user = 2\n")
    bench.do(tenant="a", times=2)
    bench.do(tenant="b", times=2)
    with pytest.raises(Busy, match="rate limit"):
        bench.do(tenant="a")
    Bench(tmp_path, "[rag.security]\nrate_limit_per_user = 2\n").do(times=5)


def test_large_and_odd_inputs_are_refused_where_that_is_wanted(tmp_path: Path) -> None:
    strict = Bench(tmp_path, "[rag.security]\nenable_input_validation = true\nmax_input_size_kb = 1\n").watch
    with pytest.raises(InvalidRequest, match="query has 1,025 bytes, more than 1,024"):
        strict.demand_input("query", "x" * 1025)
    with pytest.raises(InvalidRequest, match="zero character"):
        strict.demand_input("query", "a\0b")
    strict.demand_input("query", "x" * 1024)
    assert strict.largest_input_bytes == 1024
    lenient = Bench(tmp_path, "[rag.security]\nmax_input_size_kb = 1\n").watch
    lenient.demand_input("query", "x" * 5000)
    assert lenient.largest_input_bytes is None


def lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.message for record in caplog.records if record.levelno == level]


def test_slow_operations_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = "[rag.performance]\nlog_slow_operations = true\nslow_operation_threshold_ms = 100\n"
    bench = Bench(tmp_path, table)
    bench.do(takes_s=0.1)
    assert lines(caplog, logging.WARNING) == []
    bench.do(takes_s=0.2)
    assert lines(caplog, logging.WARNING) == ["slow: rag search took 200 ms hits=3"]


def test_every_operation_is_told_without_contents(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "llmspell_kernel")
    bench = Bench(tmp_path, "[rag.debug]\nlog_all_operations = true\n")
    bench.do(takes_s=0.002)
    assert lines(caplog, logging.INFO) == ["rag search: ok, 2.0 ms hits=3"]


def test_debug_logging_is_of_these_modules_alone(tmp_path: Path) -> None:
    watch = Bench(tmp_path, "[rag.debug]\nenable_debug_logging = true\n").watch
    assert logging.getLogger(PACKAGE_LOG).level == logging.DEBUG
    del watch
    Bench(tmp_path, "")
    assert logging.getLogger(PACKAGE_LOG).level == logging.NOTSET


def test_many_errors_raise_one_alert(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = "[rag.monitoring]\nalert_on_errors = true\nerror_threshold_per_minute = 2\n"
    bench = Bench(tmp_path, table)
    bench.do(fails=NotFound("x"), times=2)
    assert lines(caplog, logging.ERROR) == []
    bench.do(fails=NotFound("x"), times=3)
    assert lines(caplog, logging.ERROR) == ["3 RAG operations have failed in the last minute"]


@pytest.mark.parametrize("table", ["performance", "monitoring"])
def test_counters_are_there_where_either_table_wants_them(tmp_path: Path, table: str) -> None:
    bench = Bench(tmp_path, f"[rag.{table}]\nenable_metrics = true\n")
    bench.do(times=2)
    bench.do(fails=NotFound("x"))
    assert bench.watch.counts_are_wanted
    assert bench.watch.counts() == {"search": 3, "hits": 9, "errors": 1}
    assert not Bench(tmp_path, "").watch.counts_are_wanted


def test_counters_are_logged_once_in_an_interval(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "llmspell_kernel")
    bench = Bench(tmp_path, "[rag.performance]\nenable_metrics = true\nmetrics_interval_seconds = 1\n")

    async def wait() -> None:
        caller = Caller(client="cli", session="s")
        request = Request("1", "rag_request", {}, caller, RecordingSink())
        async with bench.watch.operation(request, "search", "", ""):
            pass
        await asyncio.sleep(0.9)
        assert lines(caplog, logging.INFO) == []
        await asyncio.sleep(0.2)

    run_in_virtual_time(wait())
    assert lines(caplog, logging.INFO) == ["rag: search=1"]


def test_dumps_have_query_hits_and_scores(tmp_path: Path) -> None:
    directory = tmp_path / "dumps"
    bench = Bench(tmp_path, f'[rag.debug]\nsave_debug_dumps = true\ndebug_dump_path = "{directory}"\n')
    hits: list[dict[str, Any]] = [{"id": "a#0", "score": 0.5}]
    asyncio.run(bench.watch.dump("search", "high water", {"collection": "notes"}, hits))
    (file,) = directory.iterdir()
    dump = json.loads(file.read_text())
    assert (dump["query"], dump["hits"], dump["place"]) == ("high water", hits, {"collection": "notes"})
    asyncio.run(Bench(tmp_path, f'[rag.debug]\ndebug_dump_path = "{directory}"\n').watch.dump("search", "x", {}, []))
    assert len(list(directory.iterdir())) == 1
