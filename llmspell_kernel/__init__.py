"""The kernel: sockets, dispatch, handlers, services and script contexts."""
