"""How much memory each kind of worker process may take, and what holds a process to it.

A worker is held to private writable memory (RLIMIT_DATA): neither the files of weights that it maps nor address space
that a library only reserves count. An allocation beyond it fails inside the worker, which says so or dies of it; the
kernel makes `out_of_memory` of both. macOS knows no such limit, and drivers of graphics cards don't fit one: there
the kernel looks at the resident memory of workers that are at work.

A model's worker has a limit of its own, from what the model is expected to take (`candle/memory_limit.py`).
"""

from __future__ import annotations

import errno

PULL_BYTES = 2 << 30
"""A pull reads headers of at most 256 MB and listings; what it downloads goes through small buffers."""
REPLY_CHECK_BYTES = 1 << 30
"""A check holds one reply and one schema; jsonschema itself takes 40 MB."""
TOOL_BYTES = 2 << 30
"""A call of a tool holds one document, table or picture; with its programs, each by itself."""
DOCUMENT_BYTES = 2 << 30
"""A document that is read and cut: its bytes, what a parser makes of them, its text of at most 64 million letters."""
TRIAL_BYTES = 400 << 20
"""What a chat template may take when it is tried, beyond what the process has already: real ones take 40 MB."""
FEW_THREADS = 16
"""An engine's own beside those that compute: its listener's, its log's, its queues'."""
SCRIPT_SPARE_BYTES = 256 << 20
"""What the Python half of a script's worker may take beyond four times the script's own limit."""

_UNLIMITED_STACK_BYTES = 2 << 20
"""What the C library gives a thread where stacks have no limit."""


def hold_to(limit_bytes: int) -> None:
    """From here on this process gets no private memory beyond so much in all; an engine may lift it again."""
    # Not every worker has a limit when it starts.
    import resource

    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    soft = limit_bytes if hard == resource.RLIM_INFINITY else min(limit_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def lift() -> None:
    """Takes the limit away: for an engine whose driver can't do with one."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


def hold_address_space(more_bytes: int) -> None:
    """No more address space than there is now and `more_bytes`; nothing on macOS, which can't be asked."""
    try:
        with open("/proc/self/statm", "rb") as file:
            pages = int(file.read().split()[0])
    except OSError:
        return
    import resource

    limit = pages * resource.getpagesize() + more_bytes
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard == resource.RLIM_INFINITY or limit < hard:
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def stacks_bytes(threads: int) -> int:
    """What the stacks of so many threads count as, used or not: each as much as the limit of a stack."""
    import resource

    limit = resource.getrlimit(resource.RLIMIT_STACK)[0]
    return threads * (_UNLIMITED_STACK_BYTES if limit == resource.RLIM_INFINITY else limit)


def is_for_want_of_memory(error: BaseException) -> bool:
    """Whether Python or the system says by this that it gave no more memory; a thread's stack is memory too."""
    return (
        isinstance(error, MemoryError)
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        or (isinstance(error, RuntimeError) and str(error) == "can't start new thread")
    )


def private_bytes() -> int:
    """The private memory of this process that counts against its limit; 0 where the system doesn't tell."""
    try:
        with open("/proc/self/statm", "rb") as file:
            data_pages = int(file.read().split()[5])
    except OSError:
        return 0
    import resource

    return data_pages * resource.getpagesize()


def resident_bytes() -> int:
    """What this process has in memory now; on macOS, which doesn't tell, what it had at most."""
    import resource

    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
