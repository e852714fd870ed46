"""Keeps pydantic from searching for plug-ins. Imports nothing: it has to come before pydantic does.

For its first model pydantic reads the metadata of every installed package, even where its own variable switches them
off; with the parsers that this needs it takes longer than building what checks a request.
"""

import sys
from types import ModuleType


class _NoPlugins(ModuleType):
    @staticmethod
    def get_plugins() -> tuple[()]:
        return ()


def leave_out_plugins() -> None:
    """For a process that is ours alone: a program that we are only a part of may want its plug-ins."""
    name = "pydantic.plugin._loader"
    sys.modules.setdefault(name, _NoPlugins(name))
