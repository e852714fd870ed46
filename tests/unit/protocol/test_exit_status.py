"""Every exit status has words, whatever signal it holds."""

from __future__ import annotations

import signal

import pytest

from llmspell_protocol.exit_status import ending, signal_name

EVERY = range(1, 65)


def test_signals_with_a_name_have_it_and_real_time_signals_are_counted_from_the_first() -> None:
    assert signal_name(9) == "SIGKILL"
    assert signal_name(signal.SIGRTMIN + 6) == "SIGRTMIN+6"
    assert signal_name(99) == "signal 99"


@pytest.mark.parametrize("number", EVERY)
def test_every_number_is_told(number: int) -> None:
    assert ending(-number) in (f"by signal {signal_name(number)}", f"by signal {number}")
    assert ending(number) == f"with status {number}"
