"""What is told of notebooks: state, counts, memory of their scripts, and the models that they have used."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from llmspell_kernel.services.notebooks import Notebook
from llmspell_kernel.times import time_text
from llmspell_protocol.areas.notebook import NotebookSummary

if TYPE_CHECKING:
    from llmspell_kernel.services.model_users import ModelUsers
    from llmspell_protocol.models import LoadedModel


def summaries(notebooks: Iterable[Notebook], users: ModelUsers | None) -> list[NotebookSummary]:
    """A line for each; `users` is None where no model has been asked."""
    return [_summary(one, users) for one in notebooks]


def models_of(notebook: Notebook, users: ModelUsers | None) -> list[tuple[str, str]]:
    """The models that a notebook has used, its scripts' requests and its frontends' own, as (backend, model)."""
    if users is None:
        return []
    workers = {context.running_worker for context in notebook.shells}
    return users.of({*notebook.clients, *(name for name in workers if name is not None)})


def with_notebooks(
    models: Iterable[LoadedModel], notebooks: Iterable[Notebook], users: ModelUsers
) -> list[LoadedModel]:
    """The loaded models, each with the notebooks that have used it."""
    used = [(one.id, models_of(one, users)) for one in notebooks]
    return [
        replace(model, notebooks=[id for id, names in used if (model.backend, model.model) in names])
        for model in models
    ]


def _summary(one: Notebook, users: ModelUsers | None) -> NotebookSummary:
    pids = [context.pid for context in one.shells]
    return NotebookSummary(
        id=one.id,
        name=one.name,
        state="busy" if one.busy else "idle",
        execution_count=one.shells.main.execution_count,
        subshells=len(one.shells.subshells),
        clients=len(one.clients),
        pid=one.shells.main.pid,
        memory_bytes=_memory([pid for pid in pids if pid is not None]),
        models=[f"{model}@{backend}" for backend, model in models_of(one, users)],
        started_at=time_text(one.started),
    )


def _memory(pids: list[int]) -> int | None:
    if not pids:
        return None
    # It takes 20 ms to import, and only figures need it.
    import psutil

    total = 0
    for pid in pids:
        try:
            total += psutil.Process(pid).memory_info().rss
        except psutil.NoSuchProcess:
            continue  # It has just ended.
    return total
