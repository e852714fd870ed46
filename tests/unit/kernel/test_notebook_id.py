"""Ids of kernels that frontends start."""

from __future__ import annotations

import os

import pytest

from llmspell_kernel.notebook_id import notebook_id

UUID = "kernel-0677daab-9cb2-4fa7-a506-d0456b5e4075"


@pytest.mark.parametrize(
    ("file_name", "session", "expected"),
    [
        (UUID, "/home/me/analysis.ipynb", "analysis-0677"),
        (UUID, "/home/me/Mein Bücher.2.ipynb", "Mein-B-cher-2-0677"),
        (UUID, "", "notebook-0677daab"),
        (UUID, "/home/me/日本.ipynb", "notebook-0677daab"),
        ("kernel-4711", "", "notebook-4711"),
        ("kernel-work", "/home/me/analysis.ipynb", "work"),
        ("kernel-my work/../x", "", "my-work-..-x"),
        ("kernel-...", "a.ipynb", "a-PID4"),
        ("kernel-日本", "", "notebook-PID8"),
        ("kernel-" + "z" * 250, "", "z" * 100),
    ],
)
def test_a_notebook_s_kernel_is_called_by_the_notebook(file_name: str, session: str, expected: str) -> None:
    pid = str(os.getpid())  # no parameter: processes that run tests side by side have to name them alike
    expected = expected.replace("PID4", pid[:4]).replace("PID8", pid[:8])
    assert notebook_id(file_name, session, lambda _: False) == expected


def test_an_id_that_is_taken_gets_a_longer_end() -> None:
    assert notebook_id(UUID, "a.ipynb", lambda one: one == "a-0677") == "a-0677daab9cb2"


@pytest.mark.parametrize("file_name", [UUID, "kernel-work", "kernel-...", "kernel-", "kernel-日本", "kernel-ab"])
@pytest.mark.parametrize("session", ["", "work/a.ipynb", "日本.ipynb"])
def test_no_id_is_given_twice(file_name: str, session: str) -> None:
    given: list[str] = []
    for _ in range(20):
        given.append(notebook_id(file_name, session, given.__contains__))
    assert len(set(given)) == 20
