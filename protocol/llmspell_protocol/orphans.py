"""What a worker that runs programs calls first, so that its end can be the end of everything that it has started."""

from __future__ import annotations

import sys


def adopt_orphans() -> None:
    """This process becomes the parent of whatever its descendants leave behind, in place of init.

    PR_SET_CHILD_SUBREAPER of prctl(2); nothing on other systems than Linux.
    """
    if sys.platform != "linux":
        return
    import ctypes

    set_child_subreaper = 36
    ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0)
