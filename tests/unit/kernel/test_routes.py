"""Which connection is whose: a frontend that returns is the same client; its old connection's end is no end."""

from __future__ import annotations

from llmspell_kernel.doors.routes import MAX_AWAITED, Routes

FRONTEND = b"2f1c0f52-0b1c-4d0e"
OURS = b"conn.0123456789abcdef01234567"


class Kernel:
    """Routes, the connections that live, and who has been told of as gone."""

    def __init__(self) -> None:
        self.gone: list[bytes] = []
        self.live: set[int] = set()
        self.routes = Routes(self._gone)

    def _gone(self, route: bytes) -> None:
        self.gone.append(route)
        self.routes.forget(route)

    def accept(self, *descriptors: int) -> None:
        self.live.update(descriptors)

    def speak(self, route: bytes, descriptor: int) -> bool:
        return self.routes.spoke(route, descriptor, self.live)

    def end(self, descriptor: int) -> None:
        self.live.discard(descriptor)
        self.routes.ended(descriptor, self.live)


def test_a_client_goes_with_its_only_connection() -> None:
    for route in (FRONTEND, OURS):
        kernel = Kernel()
        kernel.accept(10)
        assert not kernel.speak(route, 10)
        assert not kernel.speak(route, 10)
        kernel.end(10)
        assert kernel.gone == [route]
        assert len(kernel.routes) == 0


def test_the_end_of_an_older_connection_is_no_end() -> None:
    kernel = Kernel()
    kernel.accept(10, 11)
    kernel.speak(FRONTEND, 10)
    assert kernel.speak(FRONTEND, 11), "it was there before"
    kernel.end(10)
    assert kernel.gone == []
    kernel.end(11)
    assert kernel.gone == [FRONTEND]
    assert len(kernel.routes) == 0


def test_the_end_of_the_newest_connection_is_the_end_though_an_older_one_lives() -> None:
    kernel = Kernel()
    kernel.accept(10, 11)
    kernel.speak(FRONTEND, 10)
    kernel.speak(FRONTEND, 11)
    kernel.end(11)
    assert kernel.gone == [FRONTEND]
    kernel.end(10)
    assert kernel.gone == [FRONTEND]
    assert len(kernel.routes) == 0


def test_a_frontend_may_be_there_again_while_a_connection_has_not_spoken() -> None:
    kernel = Kernel()
    kernel.accept(10, 11)
    kernel.speak(FRONTEND, 10)
    kernel.end(10)
    assert kernel.gone == []
    assert kernel.speak(FRONTEND, 11)
    kernel.end(11)
    assert kernel.gone == [FRONTEND]


def test_it_is_gone_once_the_silent_connection_turns_out_to_be_anothers_or_ends() -> None:
    for turns_out in ("another's", "ends"):
        kernel = Kernel()
        kernel.accept(10, 11)
        kernel.speak(FRONTEND, 10)
        kernel.end(10)
        if turns_out == "ends":
            kernel.end(11)
        else:
            kernel.speak(b"another", 11)
        assert kernel.gone == [FRONTEND]


def test_a_client_of_ours_never_returns_and_is_gone_at_once() -> None:
    kernel = Kernel()
    kernel.accept(10, 11)
    kernel.speak(OURS, 10)
    kernel.end(10)
    assert kernel.gone == [OURS]


def test_a_connection_that_never_speaks_keeps_few_waiting() -> None:
    kernel = Kernel()
    kernel.accept(10)
    for number in range(6_000):
        kernel.accept(11)
        kernel.speak(b"frontend %d" % number, 11)
        kernel.end(11)
    assert len(kernel.gone) == 6_000 - MAX_AWAITED
    assert len(kernel.routes) == MAX_AWAITED
    kernel.end(10)
    assert len(kernel.gone) == 6_000
    assert len(kernel.routes) == 0


def test_a_descriptor_that_was_given_out_again_before_anyone_looked_keeps_nobody() -> None:
    kernel = Kernel()
    kernel.accept(10)
    kernel.speak(OURS, 10)
    kernel.speak(FRONTEND, 10)
    assert kernel.gone == [OURS]
    kernel.end(10)
    assert kernel.gone == [OURS, FRONTEND]
    assert len(kernel.routes) == 0
