"""The process that has a kernel's collections open. What it is asked stands in the protocol, `rag/ops.py`."""
