"""Executions on disk, so that one that was cut can be resumed: what they were to do, and what they have done.

A file of tables below the home (`workflows.db`). An execution is written in one transaction with each step that
finishes, and removed when it ends by itself; one that was cancelled, or cut with its kernel, stays for `KEPT_DAYS`.
While it runs its kernel holds a lock, which ends with the process however that ends.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as File
from typing import Any

from llmspell_kernel.scripting.function_key import FUNCTION_KEY
from llmspell_kernel.services.workflows.definition import Definition, Step
from llmspell_kernel.services.workflows.locks import Lock, Locks
from llmspell_kernel.services.workflows.outcomes import Problem, StepOutcome
from llmspell_kernel.services.workflows.place import Path
from llmspell_kernel.services.workflows.tables import FILE, SCHEMA
from llmspell_kernel.storage.database import Database
from llmspell_kernel.times import time_text
from llmspell_protocol.errors import Busy, Forbidden, InvalidRequest, NotFound

KEPT_DAYS = 30

_STEP, _DECISION = "step", "decision"
_COLUMNS = "id, name, definition, has_functions, input, shared, started_ms"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """An execution as it was kept."""

    id: str
    name: str
    raw: Mapping[str, Any]
    has_functions: bool
    input: Any
    shared: Mapping[str, Any]
    started_at: str
    finished_steps: int

    def demand_same(self, raw: Mapping[str, Any]) -> None:
        """Raises `InvalidRequest` where a definition is not the one that was cut; functions count by their place."""
        if digest_of(raw) != digest_of(self.raw):
            raise InvalidRequest(
                f"this is not the workflow '{self.name}' that was cut: its steps or settings are others",
                hint="resume with the definition that was executed, or execute the new one from its beginning",
                details={"execution_id": self.id},
            )


def digest_of(raw: Mapping[str, Any]) -> str:
    """A digest of a definition's shape: the same for the same steps and settings, whatever its functions are."""
    return hashlib.sha256(json.dumps(_shape(raw), sort_keys=True).encode()).hexdigest()


def _shape(value: Any) -> Any:
    if isinstance(value, Mapping):
        if FUNCTION_KEY in value:
            return {FUNCTION_KEY: 0}
        return {key: _shape(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        # A script's empty table is either.
        return [_shape(item) for item in value] or {}
    return value


@dataclass(kw_only=True)
class DiskJournal:
    """The journal of one execution, kept on disk; holds the execution's lock until `leave`."""

    checkpoint: Checkpoint
    database: Database
    lock: Lock
    is_kept: bool = True
    steps: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    decisions: dict[str, Any] = field(default_factory=dict)
    unwritten: dict[str, Any] = field(default_factory=dict)

    def finished(self, path: Path, step: Step) -> StepOutcome | None:
        """What came of a step; told once, since a workflow that is tried again does its steps again.

        A nested one whose steps can be compensated runs again, and finds those finished.
        """
        kept = self.steps.pop(_key(path), None)
        if kept is None or (step.inner is not None and can_compensate(step.inner)):
            return None
        problem = kept["problem"]
        return StepOutcome(**{**kept, "problem": None if problem is None else Problem(*problem)}, restored=True)

    def decided(self, path: Path) -> tuple[bool, Any]:
        """Whether something was decided, and how; told once, as of steps."""
        key = _key(path)
        return key in self.decisions, self.decisions.pop(key, None)

    def decide(self, path: Path, value: Any) -> None:
        """Notes a decision until the next step has finished."""
        self.unwritten[_key(path)] = value

    async def finish(self, path: Path, outcome: StepOutcome, shared: dict[str, Any]) -> None:
        """Writes a finished step, the decisions before it and the shared data in one transaction.

        A step that lacked a permission is as good as not begun: it is done when the workflow goes on with it.
        """
        if outcome.failed and outcome.problem is not None and outcome.problem.code == Forbidden.code:
            return
        kept = {
            "name": outcome.name,
            "type": outcome.type,
            "success": outcome.success,
            "output": outcome.output,
            "result": outcome.result,
            "problem": outcome.problem,
            "failed": outcome.failed,
            "optional": outcome.optional,
            "skipped": outcome.skipped,
            "retries": outcome.retries,
            "duration_ms": outcome.duration_ms,
        }
        decisions, self.unwritten = self.unwritten, {}
        rows = [(_DECISION, key, _json(value)) for key, value in decisions.items()]
        rows.append((_STEP, _key(path), _json(kept)))
        shared_text, id = _json(shared), self.checkpoint.id

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "INSERT OR REPLACE INTO done (execution_id, kind, path, value) VALUES (?, ?, ?, ?)",
                [(id, *row) for row in rows],
            )
            connection.execute(
                "UPDATE executions SET shared = ?, changed_ms = ? WHERE id = ?", (shared_text, _now_ms(), id)
            )

        await self.database.write(work)

    async def end(self) -> None:
        """The execution has ended by itself: nothing of it is kept."""
        id = self.checkpoint.id
        deleting = asyncio.ensure_future(
            self.database.write(lambda connection: connection.execute("DELETE FROM executions WHERE id = ?", (id,)))
        )
        try:
            await asyncio.shield(deleting)
        except asyncio.CancelledError:
            # The lock is held until it is deleted, so that it can't be resumed in between.
            await asyncio.wait([deleting])
            raise
        self.lock.remove()

    def leave(self) -> None:
        """It runs no more in this kernel."""
        self.lock.release()


class Checkpoints:
    """The executions below a home that can be resumed; opened by the first use. Belongs to the loop."""

    def __init__(self, home: File) -> None:
        self._home = home
        self._locks = Locks(home / "workflows")
        self._database: Database | None = None
        self._swept = False

    async def begin(
        self,
        id: str,
        *,
        key_id: str,
        raw: Mapping[str, Any],
        has_functions: bool,
        name: str,
        input: Any,
        shared: Mapping[str, Any],
    ) -> DiskJournal:
        """A new execution's journal.

        Raises:
            StorageError, DiskFull, …: as `Database.write`.
        """
        now_ms = _now_ms()
        row = (id, key_id, name, _json(raw), int(has_functions), _json(input), _json(shared), now_ms, now_ms)
        lock = self._locks.taken(id)
        assert lock is not None

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO executions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

        try:
            await self._expire(now_ms - KEPT_DAYS * 86_400_000)
            await self._open().write(work)
        except BaseException:
            lock.remove()
            lock.release()
            raise
        checkpoint = Checkpoint(
            id=id,
            name=name,
            raw=raw,
            has_functions=has_functions,
            input=input,
            shared=shared,
            started_at=time_text(now_ms / 1000),
            finished_steps=0,
        )
        return DiskJournal(checkpoint=checkpoint, database=self._open(), lock=lock)

    async def resume(self, id: str, *, key_id: str) -> DiskJournal:
        """The journal of an execution that was cut.

        Raises:
            NotFound: there is none of this id that the caller may see.
            Busy: it runs.
        """
        # First the lock: what is read under it can't end in another kernel meanwhile.
        lock = self._locks.taken(id)
        try:
            checkpoint, rows = await self._open().read(lambda connection: _read(connection, id, key_id))
        except BaseException as error:
            if lock is not None:
                if isinstance(error, NotFound):
                    lock.remove()
                lock.release()
            raise
        if lock is None:
            raise Busy(
                f"workflow '{id}' runs already",
                hint="wait for it, or cancel it",
                details={"execution_id": id, "retry_after_s": 5},
            )
        return DiskJournal(
            checkpoint=checkpoint,
            database=self._open(),
            lock=lock,
            steps={path: json.loads(value) for kind, path, value in rows if kind == _STEP},
            decisions={path: json.loads(value) for kind, path, value in rows if kind == _DECISION},
        )

    async def list(self, key_id: str) -> Sequence[Checkpoint]:
        """Those that were cut, oldest first, and those that run in other kernels of this home: no lock is looked at."""
        if self._database is None and not self._file.exists():
            return ()

        def work(connection: sqlite3.Connection) -> Sequence[Checkpoint]:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM executions WHERE key_id = ? ORDER BY started_ms, id", (key_id,)
            ).fetchall()
            return tuple(_checkpoint(connection, row) for row in rows)

        return await self._open().read(work)

    async def ids(self, beginning: str, *, key_id: str) -> Sequence[str]:
        """Ids that begin so of those that `list` has."""
        if self._database is None and not self._file.exists():
            return ()

        def work(connection: sqlite3.Connection) -> Sequence[str]:
            rows = connection.execute(
                "SELECT id FROM executions WHERE key_id = ? AND substr(id, 1, ?) = ? ORDER BY id",
                (key_id, len(beginning), beginning),
            )
            return tuple(id for (id,) in rows)

        return await self._open().read(work)

    async def discard(self, id: str, *, key_id: str) -> Checkpoint:
        """Removes one. Raises as `resume`."""
        journal = await self.resume(id, key_id=key_id)
        try:
            await journal.end()
        finally:
            journal.leave()
        return journal.checkpoint

    async def close(self) -> None:
        """Closes the database."""
        if self._database is not None:
            await self._database.close()

    async def _expire(self, before_ms: int) -> None:
        """Removes what has not gone on since, but for what runs; and, once, lock files that were left behind."""
        held: list[Lock] = []

        def work(connection: sqlite3.Connection) -> Sequence[str]:
            ids = [id for (id,) in connection.execute("SELECT id FROM executions ORDER BY id").fetchall()]
            old = connection.execute("SELECT id FROM executions WHERE changed_ms < ?", (before_ms,)).fetchall()
            for (id,) in old:
                lock = self._locks.taken(id)
                if lock is not None:
                    held.append(lock)
                    connection.execute("DELETE FROM executions WHERE id = ?", (id,))
            return ids

        try:
            ids = await self._open().write(work)
            for lock in held:
                lock.remove()
        finally:
            for lock in held:
                lock.release()
        if not self._swept:
            self._swept = True
            self._locks.remove_others(ids)

    @property
    def _file(self) -> File:
        return self._home / FILE

    def _open(self) -> Database:
        if self._database is None:
            self._database = Database(SCHEMA, self._file)
        return self._database


def _read(connection: sqlite3.Connection, id: str, key_id: str) -> tuple[Checkpoint, Sequence[tuple[str, str, str]]]:
    row = connection.execute(f"SELECT {_COLUMNS} FROM executions WHERE id = ? AND key_id = ?", (id, key_id)).fetchone()
    if row is None:
        raise NotFound(
            f"no workflow execution '{id}' can be resumed",
            hint="llmspell workflow list shows those that can",
            details={"execution_id": id},
        )
    rows = connection.execute("SELECT kind, path, value FROM done WHERE execution_id = ?", (id,)).fetchall()
    return _checkpoint(connection, row), rows


def _checkpoint(connection: sqlite3.Connection, row: Sequence[Any]) -> Checkpoint:
    id, name, definition, has_functions, given, shared, started_ms = row
    [finished] = connection.execute(
        "SELECT count(*) FROM done WHERE execution_id = ? AND kind = ?", (id, _STEP)
    ).fetchone()
    return Checkpoint(
        id=id,
        name=name,
        raw=json.loads(definition),
        has_functions=bool(has_functions),
        input=json.loads(given),
        shared=json.loads(shared),
        started_at=time_text(started_ms / 1000),
        finished_steps=finished,
    )


def can_compensate(definition: Definition) -> bool:
    """Whether a step of it, or of one nested in it, has something that undoes it."""
    steps = [*definition.steps, *definition.post_steps]
    for branch in (*definition.branches, *([definition.default] if definition.default is not None else [])):
        steps.extend(branch.steps)
    return any(
        "compensate" in step.callbacks or (step.inner is not None and can_compensate(step.inner)) for step in steps
    )


def _key(path: Path) -> str:
    return json.dumps(path)


def _json(value: Any) -> str:
    return json.dumps(value)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
