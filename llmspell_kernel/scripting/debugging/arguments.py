"""What the commands of the Debug Adapter Protocol take, checked before anything is done with it. Knows no debugger."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from llmspell_protocol.errors import InvalidRequest

_MOST = 1 << 53
"""JSON's whole numbers go as far."""

Check = Callable[[Any], bool]
Kind = tuple[str, Check]
"""What a value has to be, in words, and whether it is."""


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _list_of(check: Check) -> Check:
    return lambda value: isinstance(value, list | tuple) and all(check(one) for one in value)


TEXT: Kind = ("a text", _is_text)
NUMBER: Kind = ("a whole number that is not negative", _is_number)
FLAG: Kind = ("true or false", lambda value: isinstance(value, bool))
TEXTS: Kind = ("a list of texts", _list_of(_is_text))
NUMBERS: Kind = ("a list of whole numbers", _list_of(_is_number))
MAPS: Kind = ("a list of objects", _list_of(lambda one: isinstance(one, Mapping)))
SOURCE: Kind = ("an object with a path", lambda value: isinstance(value, Mapping) and _is_text(value.get("path")))

NEEDED = "!"
"""Behind the name of a field that may not be missing."""

FIELDS: Mapping[str, Mapping[str, Kind]] = {
    "initialize": {"clientID": TEXT},
    "disconnect": {"terminateDebuggee": FLAG},
    "dumpCell": {"code!": TEXT},
    "source": {"source!": SOURCE},
    "setBreakpoints": {"source!": SOURCE, "breakpoints": MAPS, "lines": NUMBERS},
    "setExceptionBreakpoints": {"filters": TEXTS},
    "stackTrace": {"startFrame": NUMBER, "levels": NUMBER},
    "scopes": {"frameId": NUMBER},
    "variables": {"variablesReference!": NUMBER, "filter": TEXT, "start": NUMBER, "count": NUMBER},
    "setVariable": {"variablesReference!": NUMBER, "name!": TEXT, "value!": TEXT},
    "setExpression": {"expression!": TEXT, "value!": TEXT, "frameId": NUMBER},
    "evaluate": {"expression!": TEXT, "frameId": NUMBER, "context": TEXT},
    "richInspectVariables": {"variableName!": TEXT, "frameId": NUMBER},
    "copyToGlobals": {"srcVariableName!": TEXT, "dstVariableName!": TEXT, "srcFrameId": NUMBER},
}
"""The fields that are looked at, by command; others are passed over, as the protocol grows."""


def checked(command: str, given: Any) -> dict[str, Any]:
    """The arguments of a command that are known here; those that are null are left out.

    Raises:
        InvalidRequest: one is missing, or is not what it has to be.
    """
    if given is not None and not isinstance(given, Mapping):
        raise InvalidRequest(f"{command}: the arguments have to be an object")
    found: dict[str, Any] = {}
    for marked, (words, check) in FIELDS.get(command, {}).items():
        name = marked.removesuffix(NEEDED)
        value = given.get(name) if given is not None else None
        if value is not None:
            if not check(value):
                raise InvalidRequest(f"{command}: {name} has to be {words}")
            found[name] = value
        elif marked != name:
            raise InvalidRequest(f"{command}: {name} is missing")
    return found
