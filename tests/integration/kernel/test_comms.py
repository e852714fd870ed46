"""Comms: no target is known, so that one that a frontend opens is closed at once, on IOPub, and nothing is replied."""

from __future__ import annotations

import zmq

from tests.support.kernels import KernelProcess
from tests.support.raw_sockets import raw_socket


def test_a_comm_of_an_unknown_target_is_closed_and_not_replied_to(kernel: KernelProcess) -> None:
    with raw_socket(kernel.info, "iopub") as iopub, raw_socket(kernel.info) as shell:
        iopub.socket.send(b"\x01")
        while iopub.receive().msg_type != "iopub_welcome":
            pass
        opened = shell.message("comm_open", {"comm_id": "c1", "target_name": "jupyter.widget", "data": {}})
        shell.send(opened)
        published = []
        while not published or published[-1].content.get("execution_state") != "idle":
            message = iopub.receive()
            if message.parent_id == opened.msg_id:
                published.append(message)
        assert [message.msg_type for message in published] == ["status", "comm_close", "status"]
        assert published[1].content == {"comm_id": "c1", "data": {}}
        for msg_type, content in (
            ("comm_msg", {"comm_id": "c1", "data": {}}),
            ("comm_close", {"comm_id": "c1"}),
            ("comm_open", {}),
        ):
            shell.send(shell.message(msg_type, content))
        last = shell.message("kernel_info_request", {})
        shell.send(last)
        assert shell.receive().parent_id == last.msg_id
        assert not shell.socket.poll(0, zmq.POLLIN)
