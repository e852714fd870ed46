"""Who is connected: the limit admits those that came first, and subscribers hear of each that comes or goes."""

from __future__ import annotations

from llmspell_kernel.clients import Clients, ClientsOfDoor


def test_those_that_came_first_are_admitted_and_the_next_when_one_has_gone() -> None:
    clients = Clients(limit=2)
    for client in ("a", "b", "c", "a"):
        clients.came(client)
    assert list(clients) == ["a", "b", "c"]
    assert [client for client in clients if clients.admits(client)] == ["a", "b"]
    clients.gone("a")
    assert [client for client in clients if clients.admits(client)] == ["b", "c"]
    clients.limit = 1
    assert [client for client in clients if clients.admits(client)] == ["b"]


def test_a_client_that_was_never_counted_is_told_of_when_it_goes_and_not_admitted() -> None:
    clients = Clients(limit=2)
    heard: list[str] = []
    clients.on_gone(heard.append)
    clients.on_change(lambda: heard.append(f"{len(clients)} left"))
    assert not clients.admits("control only")
    clients.gone("control only")
    clients.came("a")
    clients.came("a")
    clients.gone("a")
    assert heard == ["control only", "0 left", "1 left", "a", "0 left"]


def test_those_of_a_further_door_count_among_all_under_one_limit() -> None:
    clients = Clients(limit=2)
    heard: list[str] = []
    clients.on_gone(heard.append)
    clients.on_returned(lambda client: heard.append(f"{client} again"))
    clients.came("a")
    door, other = ClientsOfDoor(clients), ClientsOfDoor(clients)
    door.came("b")
    other.came("c")
    assert (list(door), list(other), list(clients)) == (["b"], ["c"], ["a", "b", "c"])
    assert [client for client in clients if clients.admits(client)] == ["a", "b"]
    clients.limit = 3
    assert clients.admits("c")
    door.returned("b")
    door.gone("b")
    assert (heard, list(door), list(clients)) == (["b again", "b"], [], ["a", "c"])
