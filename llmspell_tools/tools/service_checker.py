"""service-checker: whether a port, a web server or a name answers."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any, Literal

from llmspell_protocol.errors import InvalidRequest, Timeout, Unsupported
from llmspell_protocol.extras import install_command
from llmspell_tools.contract import Call, Outcome, Tool, ToolFailure
from llmspell_tools.limits.web import Retry
from llmspell_tools.parameters import ToolParameters, parameter

_DNS_PORT = 53


class Parameters(ToolParameters):
    """What `service-checker` is called with."""

    target: str = parameter("tcp: host:port; http and https: a URL or a host; dns: a name", also=("input", "url"))
    check_type: Literal["tcp", "http", "https", "dns"] = parameter("what is tried", also=("type",))
    timeout_seconds: float = parameter("how long it may take", 5, gt=0, le=300, also=("timeout",))

    @classmethod
    def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Kinds of checks in any case."""
        if isinstance(given.get("check_type"), str):
            given["check_type"] = given["check_type"].strip().lower()
        return given


def run(wanted: Parameters, call: Call) -> Outcome:
    """Tries it once; that it doesn't answer is a result, and no failure of the tool."""
    limit_s = min(wanted.timeout_seconds, float(call.tables.get("network", {}).get("timeout_seconds", 30)))
    began = time.perf_counter()
    status, error, metadata = "available", None, {}
    try:
        metadata = _CHECKS[wanted.check_type](wanted, call, limit_s)
    except ToolFailure as failure:
        status, error = "unavailable", failure.message
    except (Timeout, TimeoutError) as late:
        status, error = "timeout", str(late)
    if metadata.get("status_code", 0) >= 400:
        status, error = "unavailable", f"it answered {metadata['status_code']}"
    available = status == "available"
    result = {
        "target": wanted.target,
        "check_type": wanted.check_type,
        "available": available,
        "response_time_ms": round((time.perf_counter() - began) * 1000, 3),
        "status": status,
        "metadata": metadata,
        "timeout_seconds": limit_s,
    }
    if error is not None:
        result["error"] = error
    said = f"{wanted.target} is {status}" if status != "timeout" else f"{wanted.target} did not answer in time"
    return Outcome(operation=wanted.check_type, result=result, output=available, message=said)


def _tcp(wanted: Parameters, call: Call, limit_s: float) -> dict[str, Any]:
    found = re.fullmatch(r"(?:tcp://)?(\[[^\]]+\]|[^:/]+):([0-9]{1,5})/?", wanted.target.strip())
    if found is None:
        raise InvalidRequest(f"'{wanted.target}' is not host:port", hint="such as example.com:443 or [::1]:5432")
    connection = call.network.connect(found[1], int(found[2]), limit_s)
    try:
        return {"address": str(connection.getpeername()[0]), "port": int(found[2])}
    finally:
        connection.close()


def _web(wanted: Parameters, call: Call, limit_s: float) -> dict[str, Any]:
    target = wanted.target.strip()
    url = target if "://" in target else f"{wanted.check_type}://{target}"
    if not url.lower().startswith(f"{wanted.check_type}://"):
        raise InvalidRequest(f"a check of {wanted.check_type} needs a URL that begins with {wanted.check_type}://")
    answer = call.network.web().request("GET", url, retry=Retry(attempts=1), time_s=limit_s)
    return {"status_code": answer.status, "reason": answer.reason, "url": answer.url} | {
        name: value for name in ("server", "content-type") if (value := answer.header(name)) is not None
    }


def _dns(wanted: Parameters, call: Call, limit_s: float) -> dict[str, Any]:
    name = call.network.demand_name(wanted.target.strip(), _DNS_PORT)
    try:
        import dns.exception
        import dns.resolver
    except ImportError:
        raise Unsupported(
            "checks of DNS need the package dnspython, which is not installed", hint=install_command("tools")
        ) from None
    resolver = _resolver(call.tables.get("service-checker", {}))
    resolver.lifetime = limit_s
    records: dict[str, list[str]] = {}
    canonical = name
    for kind in ("A", "AAAA"):
        try:
            answer = resolver.resolve(f"{name}.", kind, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN:
            raise ToolFailure(f"there is no name {name}") from None
        except dns.exception.Timeout:
            raise TimeoutError(f"no name server answered within {limit_s:g}s") from None
        except dns.exception.DNSException as error:
            raise ToolFailure(f"{name}: {error}") from None
        if answer.rrset is not None:
            records[kind] = [record.to_text() for record in answer.rrset]
            canonical = answer.canonical_name.to_text(omit_final_dot=True)
    if not records:
        raise ToolFailure(f"{name} has no address")
    addresses = [address for several in records.values() for address in several]
    return {"addresses": addresses, "records": records, "canonical_name": canonical}


def _resolver(settings: Mapping[str, Any]) -> Any:
    """The system's name servers, or those of `[tools.service-checker]` as `address` or `address:port`."""
    import dns.nameserver
    import dns.resolver

    named = settings.get("nameservers")
    if not named:
        return dns.resolver.Resolver()
    resolver = dns.resolver.Resolver(configure=False)
    servers = []
    for text in named:
        address, _, port = text.rpartition(":") if text.count(":") == 1 else (text, "", "")
        servers.append(dns.nameserver.Do53Nameserver(address.strip("[]"), int(port or _DNS_PORT)))
    resolver.nameservers = servers
    return resolver


_CHECKS = {"tcp": _tcp, "http": _web, "https": _web, "dns": _dns}

TOOL = Tool(
    name="service-checker",
    description="Says whether a service answers: a TCP port, a web server, or a name by DNS.",
    category="system",
    level="restricted",
    parameters=Parameters,
    run=run,
    needs=("net",),
    settings=("http_request", "network"),
    result="{target, check_type, available, response_time_ms, status, error?, metadata, timeout_seconds}",
    keywords=("service", "health", "port", "tcp", "http", "dns", "uptime", "ping", "check"),
)
