"""A name server on this machine, over UDP, with the records that a test gives it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class NameServer:
    """A running server; `asked` are the names and kinds of the questions."""

    port: int
    asked: list[tuple[str, str]] = field(default_factory=list)

    @property
    def address(self) -> str:
        """`address:port`"""
        return f"127.0.0.1:{self.port}"

    def addresses(self, host: str, _port: int) -> Sequence[str]:
        """What this server says of a host, as a system that asks it would see it."""
        import dns.nameserver
        import dns.resolver

        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers = [dns.nameserver.Do53Nameserver("127.0.0.1", self.port)]
        return [record.to_text() for record in resolver.resolve(f"{host}.", "A")]


@contextmanager
def name_server(records: Mapping[str, Sequence[tuple[str, str]]], *, silent: bool = False) -> Iterator[NameServer]:
    """A server for as long as the block lasts.

    `records` are `(kind, value)` by name; a CNAME's target is followed as far as the server knows it. A `silent` one
    answers nothing.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listening.bind(("127.0.0.1", 0))
    server = NameServer(listening.getsockname()[1])
    thread = threading.Thread(target=_serve, args=(listening, records, server, silent))
    thread.start()
    try:
        yield server
    finally:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", server.port))
        thread.join()
        listening.close()


def _serve(
    listening: socket.socket, records: Mapping[str, Sequence[tuple[str, str]]], server: NameServer, silent: bool
) -> None:
    import dns.flags
    import dns.message
    import dns.rcode
    import dns.rdatatype
    import dns.rrset

    while True:
        data, sender = listening.recvfrom(4096)
        if not data:
            return
        query = dns.message.from_wire(data)
        name = query.question[0].name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(query.question[0].rdtype)
        server.asked.append((name, kind))
        if silent:
            continue
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        if name not in records:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        while name:
            found = records.get(name, ())
            for wanted in ("CNAME", kind):
                values = [value for one, value in found if one == wanted]
                if values:
                    answer.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", wanted, *values))
            name = next((value.rstrip(".") for one, value in found if one == "CNAME"), "")
        listening.sendto(answer.to_wire(), sender)
