"""Comms through a kernel's sockets: those of unknown targets are closed at once, and those of clients that are gone."""

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


def test_what_a_client_has_opened_is_closed_when_it_is_gone(kernel: KernelProcess) -> None:
    with raw_socket(kernel.info, "iopub") as iopub, raw_socket(kernel.info) as shell:
        iopub.socket.send(b"\x01")
        while iopub.receive().msg_type != "iopub_welcome":
            pass
        hears = "function(comm) comm:on_close(function() print('closed ' .. comm.id) end) end"
        shell.send(shell.message("execute_request", {"code": f"Comm.register_target('t', {hears})"}))
        assert shell.receive().content["status"] == "ok"
        with raw_socket(kernel.info) as other:
            opened = other.message("comm_open", {"comm_id": "of another", "target_name": "t", "data": {}})
            other.send(opened)
            last = other.message("comm_info_request", {})
            other.send(last)
            assert other.receive().content["comms"] == {"of another": {"target_name": "t"}}
        printed = iopub.receive()
        while printed.msg_type != "stream":
            printed = iopub.receive()
        assert printed.content == {"name": "stdout", "text": "closed of another\n"}
        assert printed.parent_id == opened.msg_id
        shell.send(shell.message("comm_info_request", {}))
        assert shell.receive().content["comms"] == {}
