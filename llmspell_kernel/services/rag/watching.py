"""What is noted of operations, as `[rag.debug]`, `[rag.performance]`, `[rag.monitoring]` and `[rag.security]` say.

Counters, log lines, an audit log without contents, dumps of searches, and the limits of how many and how large.
Knows requests as who asks; not what is done for them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmspell_kernel.request import Request
from llmspell_kernel.services.rag.rates import Rate
from llmspell_kernel.times import time_text
from llmspell_protocol.background import of_no_request
from llmspell_protocol.errors import ConfigError, InvalidRequest, LlmspellError

if TYPE_CHECKING:
    from llmspell_profiles.schema.rag import RagSettings

log = logging.getLogger(__name__)

PACKAGE_LOG = "llmspell_kernel.services.rag"
_KB = 1024
_MOST_DUMPS = 1000
_ERRORS = "errors"


class Operation:
    """One operation while it is done; `figures` are counts that go into log, audit and metrics."""

    def __init__(self, action: str, tenant: str, collection: str) -> None:
        self.action = action
        self.tenant = tenant
        self.collection = collection
        self.figures: dict[str, int] = {}


class Watch:
    """Notes operations; belongs to the loop. `clock` gives seconds that only go forward."""

    def __init__(self, settings: Callable[[], RagSettings], clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._rate = Rate(clock)
        self._errors = Rate(clock)
        self._counts: Counter[str] = Counter()
        self._told = 0
        self._timer: asyncio.TimerHandle | None = None
        self._alerted_at: float | None = None
        self._writing = asyncio.Lock()
        self.apply()

    def apply(self) -> None:
        """Takes over the settings."""
        wants_debug = self._settings().debug.enable_debug_logging
        logging.getLogger(PACKAGE_LOG).setLevel(logging.DEBUG if wants_debug else logging.NOTSET)

    @property
    def counts_are_wanted(self) -> bool:
        """Whether the kernel's metrics have the counters."""
        settings = self._settings()
        return settings.performance.enable_metrics or settings.monitoring.enable_metrics

    def counts(self) -> Mapping[str, int]:
        """The counters since the kernel began."""
        return dict(self._counts)

    @asynccontextmanager
    async def operation(self, request: Request, action: str, tenant: str, collection: str) -> AsyncIterator[Operation]:
        """Around the work: admits it, and notes how it ended.

        Raises:
            Busy: there were too many operations in the last minute.
            ConfigError: the audit log can't be written.
        """
        security = self._settings().security
        if security.enable_rate_limiting:
            self._rate.admit(
                (request.caller.key_id, tenant), security.rate_limit_per_user, "rag.security.rate_limit_per_user"
            )
        done = Operation(action, tenant, collection)
        began = self._clock()
        outcome = "ok"
        try:
            yield done
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        except LlmspellError as error:
            outcome = error.code
            raise
        except BaseException:
            outcome = "internal"
            raise
        finally:
            await self._note(request, done, outcome, (self._clock() - began) * 1000)

    def demand_input(self, what: str, text: str) -> None:
        """Refuses a text that is too large, or that has what no text has.

        Raises:
            InvalidRequest: it is.
        """
        security = self._settings().security
        if not security.enable_input_validation:
            return
        self.demand_size(what, len(text.encode()))
        if "\0" in text:
            raise InvalidRequest(f"{what} has a zero character in it", details={"setting": _VALIDATION})

    def demand_size(self, what: str, size: int) -> None:
        """Refuses so many bytes where they are more than an input may have; raises as `demand_input`."""
        security = self._settings().security
        limit = security.max_input_size_kb * _KB
        if security.enable_input_validation and size > limit:
            raise InvalidRequest(
                f"{what} has {size:,} bytes, more than {limit:,}",
                hint="raise rag.security.max_input_size_kb",
                details={"bytes": size, "limit_bytes": limit, "setting": "rag.security.max_input_size_kb"},
            )

    @property
    def largest_input_bytes(self) -> int | None:
        """The most bytes of a document; None: no limit of its own."""
        security = self._settings().security
        return security.max_input_size_kb * _KB if security.enable_input_validation else None

    async def dump(self, action: str, query: str, place: Mapping[str, str], hits: Sequence[Mapping[str, Any]]) -> None:
        """Keeps a search with what it has found as a file, where dumps are wanted."""
        debug = self._settings().debug
        if not debug.save_debug_dumps:
            return
        content = {"time": time_text(time.time()), "action": action, "place": place, "query": query, "hits": hits}
        try:
            await asyncio.to_thread(_write_dump, debug.debug_dump_path, content)
        except (OSError, ConfigError) as error:
            log.warning("a dump can't be written below %s: %s", debug.debug_dump_path, _why(error))

    def close(self) -> None:
        """Ends the timer."""
        if self._timer is not None:
            self._timer.cancel()

    async def _note(self, request: Request, done: Operation, outcome: str, duration_ms: float) -> None:
        rag = self._settings()
        self._counts[done.action] += 1
        for name, count in done.figures.items():
            self._counts[name] += count
        if outcome not in ("ok", "cancelled"):
            self._counts[_ERRORS] += 1
            self._alert(rag)
        if self.counts_are_wanted and self._timer is None:
            self._start_timer(rag)
        figures = "".join(f" {name}={count}" for name, count in done.figures.items())
        if rag.debug.log_all_operations:
            log.info("rag %s: %s, %.1f ms%s", done.action, outcome, duration_ms, figures)
        else:
            log.debug("rag %s: %s, %.1f ms%s", done.action, outcome, duration_ms, figures)
        performance = rag.performance
        if performance.log_slow_operations and duration_ms > performance.slow_operation_threshold_ms:
            log.warning("slow: rag %s took %.0f ms%s", done.action, duration_ms, figures)
        if rag.security.enable_audit_logging:
            caller = request.caller
            line = {
                "time": time_text(time.time()),
                "key": caller.key_id,
                "client": caller.client,
                "kind": caller.kind,
                "action": done.action,
                "tenant": done.tenant or None,
                "collection": done.collection or None,
                "outcome": outcome,
                "duration_ms": round(duration_ms, 3),
                **done.figures,
            }
            await self._audit(rag.security.audit_log_path, json.dumps(line, ensure_ascii=False) + "\n")

    async def _audit(self, path: Path, line: str) -> None:
        try:
            async with self._writing:
                # What was done is written, whether or not its request is still wanted.
                await asyncio.shield(asyncio.to_thread(_append, path, line))
        except (OSError, ConfigError) as error:
            raise ConfigError(
                f"the audit log {path} can't be written: {_why(error)}",
                hint="change rag.security.audit_log_path, or set rag.security.enable_audit_logging = false",
                details={"key": "rag.security.audit_log_path"},
            ) from None

    def _alert(self, settings: RagSettings) -> None:
        monitoring = settings.monitoring
        if not monitoring.alert_on_errors:
            return
        recent = self._errors.recent(_ERRORS)
        recent.append(self._clock())
        if len(recent) <= monitoring.error_threshold_per_minute:
            return
        if self._alerted_at is None or self._clock() - self._alerted_at >= 60:
            self._alerted_at = self._clock()
            log.error("%d RAG operations have failed in the last minute", len(recent))

    def _start_timer(self, settings: RagSettings) -> None:
        self._timer = of_no_request(
            asyncio.get_running_loop().call_later, settings.performance.metrics_interval_seconds, self._tell_counts
        )

    def _tell_counts(self) -> None:
        self._timer = None
        total = sum(self._counts.values())
        if total != self._told and self.counts_are_wanted:
            self._told = total
            log.info("rag: %s", ", ".join(f"{name}={count}" for name, count in sorted(self._counts.items())))


_VALIDATION = "rag.security.enable_input_validation"


def _why(error: OSError | ConfigError) -> str:
    """What is in the way: of a directory that can't be made its sentence, of a file what the system says."""
    return error.message if isinstance(error, ConfigError) else error.strerror or str(error)


def _append(path: Path, line: str) -> None:
    _make_directory(path.parent)
    _write(path, os.O_APPEND, line)


def _write_dump(directory: Path, content: Mapping[str, Any]) -> None:
    _make_directory(directory)
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    path = directory / f"{stamp}-{content['action']}-{uuid.uuid4().hex[:8]}.json"
    _write(path, os.O_EXCL, json.dumps(content, ensure_ascii=False, indent=2))
    for old in sorted(directory.glob("????????T??????-*-????????.json"))[:-_MOST_DUMPS]:
        old.unlink(missing_ok=True)


def _make_directory(directory: Path) -> None:
    # Only who keeps logs and dumps needs it.
    from llmspell_storage.directories import private_directory

    if not directory.is_dir():
        private_directory(directory)


def _write(path: Path, how: int, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | how, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text.encode(errors="replace"))
