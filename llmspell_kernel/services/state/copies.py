"""Backups of the state that is open: made, restored, pruned. Knows files by `backups.py` only."""

from __future__ import annotations

import asyncio
import logging
import shutil
from contextlib import ExitStack
from typing import TYPE_CHECKING

from llmspell_kernel.services.state.backups import EVERYONE, Backups, restore
from llmspell_kernel.services.state.descriptions import Backup
from llmspell_protocol.errors import LlmspellError

if TYPE_CHECKING:
    from llmspell_kernel.services.state.service import StateService

log = logging.getLogger(__name__)


class Copies:
    """The backups of a kernel's state; belongs to the loop."""

    def __init__(self, state: StateService) -> None:
        self._state = state

    @property
    def _files(self) -> Backups:
        return Backups(self._state.settings.backup)

    async def all(self, key_id: str) -> list[Backup]:
        """The backups that a client may see, the newest first. Raises `StorageError`."""
        return await asyncio.to_thread(self._files.all, key_id)

    async def back_up(self, owner: str, name: str | None = None) -> Backup:
        """Makes a backup of everything, and removes those that are no longer kept.

        Raises:
            InvalidRequest: the name can't be one.
            DiskFull, StorageError: it can't be written.
            Others as `StateService.get`.
        """
        files, now_ms, database = self._files, self._state.now_ms(), self._state.open()
        id = files.new_id(name, now_ms)
        copy = await asyncio.to_thread(files.place)
        try:
            await database.copy(copy)
            made = await asyncio.to_thread(files.add, copy, id, owner, now_ms)
        finally:
            await asyncio.to_thread(shutil.rmtree, copy.parent, ignore_errors=True)
        # The limits are the kernel's, so that also owners who ask no more have no more than these say.
        await self._prune(None, dry_run=False)
        log.info("state was backed up: %s", made.id)
        return made

    async def restore(self, key_id: str, id: str) -> int:
        """Puts what a backup holds of a client in the place of its entries, whole or not at all; returns how many.

        Raises:
            NotFound: there is no such backup.
            StorageDamaged: it is not what was made.
            Others as `StateService.set`.
        """
        files, now_ms = self._files, self._state.now_ms()
        backup = await asyncio.to_thread(files.find, id, key_id)

        with ExitStack() as stack:
            # Before the transaction, which others wait for.
            unpacked = await asyncio.to_thread(stack.enter_context, files.unpacked(backup))
            return await self._state.write(lambda connection: restore(connection, unpacked, key_id, now_ms))

    async def problem(self, key_id: str, id: str) -> str | None:
        """Why a backup is not what was made; None: it is. Raises `NotFound`."""
        backup = await asyncio.to_thread(self._files.find, id, key_id)
        return await asyncio.to_thread(self._files.problem, backup)

    async def prune(self, owner: str, *, dry_run: bool = False) -> tuple[list[Backup], int]:
        """Removes backups of an owner that the settings no longer keep, or tells which; and how many of its stay.

        Raises:
            StorageError: the directory can't be used.
        """
        return await self._prune(owner, dry_run=dry_run)

    async def _prune(self, owner: str | None, *, dry_run: bool) -> tuple[list[Backup], int]:
        """The same for one owner, or for all."""

        def work() -> tuple[list[Backup], int]:
            files = self._files
            there = [one for one in files.all(owner) if owner is None or one.owner == owner]
            obsolete = files.obsolete(there, self._state.now_ms())
            for one in () if dry_run else obsolete:
                files.remove(one)
            return obsolete, len(there) - len(obsolete)

        return await asyncio.to_thread(work)


async def back_up_at_the_end(state: StateService) -> None:
    """The backup of a kernel that stops; what goes wrong is in its log."""
    try:
        await Copies(state).back_up(EVERYONE, "stop")
    except LlmspellError as problem:
        log.error("state could not be backed up: %s", problem.message)
