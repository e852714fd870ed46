"""Tools of the network called by a client, in the worker of a real kernel: permissions and settings hold there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.errors import Forbidden
from tests.support.kernels import KernelProcess
from tests.support.web_server import WebServer

CONFIGURATION = """
[tools.http_request]
max_request_size = 1000
[tools.search]
default_engine = "searxng"
endpoint = "{url}"
[tools.network]
max_retries = 0
"""


@pytest.fixture
def kernel(home: Path, web: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KernelProcess]:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    path = tmp_path / "llmspell.toml"
    path.write_text(CONFIGURATION.format(url=web.url()))
    kernel = KernelProcess(["--config", str(path)])
    yield kernel
    kernel.stop()


def invoke(kernel: KernelProcess, tool: str, parameters: Mapping[str, Any], *net: str) -> Any:
    content = {"action": "invoke", "tool": tool, "parameters": dict(parameters)}
    metadata = {"llmspell": {"allow": {"net": list(net)}}} if net else None
    with kernel.client() as client:
        return client.request("tool_request", content, metadata=metadata).result(60).content


def test_this_machine_is_reached_where_it_is_granted_and_by_no_proxy(kernel: KernelProcess, web: WebServer) -> None:
    asked = {"input": web.page("/json", {"a": 1})}
    with pytest.raises(Forbidden) as caught:
        invoke(kernel, "http-requester", asked)
    assert caught.value.details["permission"] == "net"
    assert caught.value.details["name"] == "127.0.0.1"
    reply = invoke(kernel, "http-requester", asked, "127.0.0.1")
    assert reply["success"] is True
    assert reply["output"] == {"a": 1}
    assert reply["metadata"]["url"] == web.url("/json")
    web.pages["/away"] = lambda request: request.redirect("http://127.0.0.2/")
    with pytest.raises(Forbidden, match=r"Host blocked: 127\.0\.0\.2"):
        invoke(kernel, "http-requester", {"input": web.url("/away")}, "127.0.0.1")
    with pytest.raises(Forbidden, match="more than 1,000"):
        invoke(kernel, "http-requester", {"input": web.page("/large", "x" * 2000)}, "127.0.0.1")


def test_a_search_asks_the_service_of_the_settings(kernel: KernelProcess, web: WebServer) -> None:
    web.page("/search", {"results": [{"title": "T", "url": "https://a.example/", "content": "S"}]})
    reply = invoke(kernel, "web-search", {"query": "x"}, "127.0.0.1")
    assert reply["result"]["results"] == [
        {"title": "T", "url": "https://a.example/", "snippet": "S", "provider": "searxng", "rank": 1}
    ]


def test_a_failure_of_the_operation_is_a_reply(kernel: KernelProcess, web: WebServer) -> None:
    reply = invoke(kernel, "webhook-caller", {"input": web.page("/hook", "no", 410)}, "127.0.0.1")
    assert reply["success"] is False
    assert "answered 410 Gone" in reply["error"]["message"]
