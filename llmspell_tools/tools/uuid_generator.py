"""uuid-generator: identifiers, random, from the clock, or made from a name."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from llmspell_protocol.errors import InvalidRequest
from llmspell_tools.contract import Call, Outcome, Tool
from llmspell_tools.parameters import ToolParameters, missing, parameter

VERSIONS = ("v1", "v4", "v5", "v7", "nil")

_NAMESPACES = {
    "dns": "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
    "url": "6ba7b811-9dad-11d1-80b4-00c04fd430c8",
    "oid": "6ba7b812-9dad-11d1-80b4-00c04fd430c8",
    "x500": "6ba7b814-9dad-11d1-80b4-00c04fd430c8",
    "agent": "6ba13d5a-3f5d-4a5b-9f7e-3d5a2f4d3a2b",
    "tool": "7cb24e6b-4f6e-5b6c-af8f-4e6b3f5e4b3c",
    "workflow": "8dc35f7c-5f7f-6c7d-bf9f-5f7c4f6f5c4d",
}
"""The first four are RFC 9562's; the others are those of the scripts that use them."""

_HEX = "[0-9a-fA-F]"
_HYPHENATED = f"{_HEX}{{8}}-(?:{_HEX}{{4}}-){{3}}{_HEX}{{12}}"
_WRITTEN = re.compile(rf"(?:urn:uuid:)?{_HYPHENATED}|\{{{_HYPHENATED}\}}|{_HEX}{{32}}", re.IGNORECASE)


class Parameters(ToolParameters):
    """What `uuid-generator` is called with."""

    operation: Literal["generate", "component_id", "deterministic", "custom", "validate"] = parameter(
        "what to do; component_id: PREFIX_UUID; deterministic: always the same for a name; custom: "
        "PREFIX_TIMESTAMP_UUID_SUFFIX",
        "generate",
    )
    version: Literal["v1", "v4", "v5", "v7", "nil"] = parameter(
        "v4: random; v7: in order of time; v1: of time, with a random node; v5: of namespace and name; nil: zeros",
        "v4",
    )
    format: Literal["standard", "hyphenated", "simple", "urn", "braced"] = parameter(
        "how it is written; standard is hyphenated", "standard"
    )
    namespace: str | None = parameter(
        "of v5 and deterministic: dns, url, oid, x500, agent, tool, workflow, a UUID, or any other name", None
    )
    name: str | None = parameter("what v5 and deterministic are made from", None)
    prefix: str | None = parameter("what component_id and custom begin with", None)
    suffix: str | None = parameter("what custom ends with", None)
    short: bool = parameter("eight digits in place of the whole UUID, for component_id and custom", False)
    timestamp: bool = parameter("seconds since 1970 in custom", False)
    uuid: str | None = parameter("what validate looks at", None, also=("input", "value"))
    count: int = parameter("how many to generate", 1, ge=1, le=10_000)

    @classmethod
    def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
        """A version may be a number, or stand in the place of the format; `hyphenated` may be a parameter."""
        wanted = dict(given)
        if _version(wanted.get("format")) in VERSIONS:
            wanted.setdefault("version", wanted["format"])
            del wanted["format"]
        if wanted.get("version") is not None:
            wanted["version"] = _version(wanted["version"])
        if isinstance(wanted.get("format"), str):
            wanted["format"] = wanted["format"].lower()
        elif isinstance(wanted.get("hyphenated"), bool):
            wanted["format"] = "hyphenated" if wanted["hyphenated"] else "simple"
        return wanted


def _version(given: Any) -> Any:
    """`4`, `"4"`, `"V4"` are `v4`."""
    if isinstance(given, bool) or not isinstance(given, (str, int, float)):
        return given
    text = str(int(given) if isinstance(given, float) and given.is_integer() else given).lower()
    return f"v{text}" if text.isdigit() else text


def run(wanted: Parameters, call: Call) -> Outcome:
    """Makes identifiers, or says whether one is a UUID."""
    del call
    if wanted.operation == "generate":
        return _generated(wanted)
    if wanted.operation == "validate":
        if wanted.uuid is None:
            raise missing("uuid")
        return _validated(wanted.uuid)
    if wanted.operation == "deterministic":
        if wanted.name is None:
            raise missing("name")
        namespace = wanted.namespace or "agent"
        made = _from_name(namespace, wanted.name)
        return Outcome(
            operation="deterministic",
            result={"id": made, "namespace": namespace, "name": wanted.name},
            output=made,
            message=made,
        )
    return _identifier(wanted)


def _generated(wanted: Parameters) -> Outcome:
    uuids = [_written(one, wanted.format) for one in _new(wanted)]
    shown = "hyphenated" if wanted.format == "standard" else wanted.format
    result = {"uuid": uuids[0], "uuids": uuids, "version": wanted.version, "format": shown}
    message = uuids[0] if len(uuids) == 1 else f"{len(uuids):,} UUIDs"
    return Outcome(operation="generate", result=result, output=uuids[0], message=message)


def _new(wanted: Parameters) -> Iterator[str]:
    import uuid

    if wanted.version == "v5":
        if wanted.name is None:
            raise missing("name")
        made = _from_name(wanted.namespace or "dns", wanted.name)
        yield from [made] * wanted.count
    elif wanted.version == "nil":
        yield from [str(uuid.UUID(int=0))] * wanted.count
    elif wanted.version == "v7":
        yield from (str(one) for one in _in_order(wanted.count))
    else:
        # The node of a version 1 is random (RFC 9562, 6.10): a network card's address is no business of a script.
        make = uuid.uuid4 if wanted.version == "v4" else lambda: uuid.uuid1(node=_random_node())
        yield from (str(make()) for _ in range(wanted.count))


def _random_node() -> int:
    import secrets

    return secrets.randbits(48) | 1 << 40


def _in_order(count: int) -> Iterator[Any]:
    """Version 7 (RFC 9562, 5.7): milliseconds, and a counter for those of the same millisecond (6.2, method 1)."""
    import secrets
    import uuid

    before, counter = 0, 0
    for _ in range(count):
        now = max(time.time_ns() // 1_000_000, before)
        counter = counter + 1 if now == before else secrets.randbits(11)
        if counter > 0xFFF:
            now, counter = now + 1, secrets.randbits(11)
        before = now
        yield uuid.UUID(int=(now & (1 << 48) - 1) << 80 | 7 << 76 | counter << 64 | 2 << 62 | secrets.randbits(62))


def _from_name(namespace: str, name: str) -> str:
    import uuid

    if "\0" in namespace:
        raise InvalidRequest("the namespace has a zero byte in it")
    known = _NAMESPACES.get(namespace.lower(), namespace.lower() if _WRITTEN.fullmatch(namespace) else None)
    # Any other name is a namespace too: the one that its own name makes.
    space = uuid.UUID(known) if known is not None else uuid.uuid5(uuid.NAMESPACE_DNS, namespace)
    return str(uuid.uuid5(space, name))


def _written(hyphenated: str, form: str) -> str:
    if form == "simple":
        return hyphenated.replace("-", "")
    if form == "urn":
        return f"urn:uuid:{hyphenated}"
    return f"{{{hyphenated}}}" if form == "braced" else hyphenated


def _identifier(wanted: Parameters) -> Outcome:
    import uuid

    made = str(uuid.uuid4())
    made = made[:8] if wanted.short else made
    result: Mapping[str, Any]
    if wanted.operation == "component_id":
        prefix = wanted.prefix if wanted.prefix is not None else "component"
        made = f"{prefix}_{made}"
        result = {"id": made, "prefix": prefix, "short": wanted.short}
    else:
        parts = (wanted.prefix, str(int(time.time())) if wanted.timestamp else None, made, wanted.suffix)
        made = "_".join(part for part in parts if part)
        result = {"id": made, "timestamp": wanted.timestamp, "short": wanted.short}
    return Outcome(operation=wanted.operation, result=result, output=made, message=made)


def _validated(text: str) -> Outcome:
    import uuid

    if not _WRITTEN.fullmatch(text):
        result = {"valid": False, "error": "Invalid UUID format"}
        message = "not a UUID: 32 hexadecimal digits, hyphenated, simple, urn or braced"
        return Outcome(operation="validate", result=result, output=False, message=message, fields={"valid": False})
    found = uuid.UUID(text.lower())
    variant = {uuid.RFC_4122: "RFC4122", uuid.RESERVED_NCS: "NCS", uuid.RESERVED_MICROSOFT: "Microsoft"}.get(
        found.variant, "Future"
    )
    version = f"v{found.version}" if found.version else "nil" if not found.int else None
    result = {"valid": True, "uuid": str(found), "version": version, "variant": variant}
    return Outcome(operation="validate", result=result, output=True, message=f"{found} is valid", fields=result)


TOOL = Tool(
    name="uuid-generator",
    description="Generates UUIDs and identifiers, and says whether a text is a UUID.",
    category="utility",
    level="safe",
    parameters=Parameters,
    run=run,
    result=(
        "generate: {uuid, uuids, version, format}; component_id: {id, prefix, short}; deterministic: {id, namespace, "
        "name}; custom: {id, timestamp, short}; validate: {valid, uuid?, version?, variant?, error?}"
    ),
    keywords=("identifier", "id", "random", "unique"),
    example={"version": "v4"},
)
