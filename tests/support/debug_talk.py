"""A frontend that debugs: requests of the Debug Adapter Protocol to a context of a script harness, and its events."""

from __future__ import annotations

from itertools import count
from typing import Any

from llmspell_kernel.request import Content, Request
from tests.support.script_harness import Frontend, ScriptHarness


class Debugging:
    """One client's debugger."""

    def __init__(self, scripts: ScriptHarness, client: str = "client", **options: Any) -> None:
        self.told = Frontend()
        self._scripts = scripts
        self._client = client
        self._options = options
        self._numbers = count(1)

    def follow(self, run: Request) -> None:
        """From here on it is about an isolated run."""
        self._options["debugs"] = run.id

    async def ask(self, command: str, /, **arguments: Any) -> Content:
        """The response to a command."""
        content = {"type": "request", "seq": next(self._numbers), "command": command, "arguments": arguments}
        request, shown = self._scripts.start(
            "", content=content, client=self._client, msg_type="debug_request", frontend=self.told, **self._options
        )
        before = len(shown.replies)
        assert request.task is not None
        await request.task
        return shown.replies[before]

    async def body(self, command: str, /, **arguments: Any) -> Content:
        """The body of a response that has to go well."""
        response = await self.ask(command, **arguments)
        assert response["success"], response
        body: Content = response["body"]
        return body

    async def start(self) -> None:
        """Initializes and attaches."""
        await self.body("initialize", clientID="test")
        await self.body("attach")

    async def break_in(self, code: str, *lines: int | Content) -> list[Content]:
        """Sets the breakpoints of a cell; returns them as the kernel has them."""
        path = (await self.body("dumpCell", code=code))["sourcePath"]
        places = [{"line": one} if isinstance(one, int) else one for one in lines]
        found: list[Content] = (await self.body("setBreakpoints", source={"path": path}, breakpoints=places))[
            "breakpoints"
        ]
        return found

    @property
    def stops(self) -> list[Content]:
        return [event["body"] for event in self.told.of("debug_event") if event["event"] == "stopped"]

    @property
    def events(self) -> list[str]:
        return [str(event["event"]) for event in self.told.of("debug_event")]

    async def stopped(self, number: int = 1) -> Content:
        """Waits for the stop with this number; its innermost frame."""
        await self.told.until(lambda _: len(self.stops) >= number, 30)
        frame: Content = (await self.body("stackTrace", threadId=1))["stackFrames"][0]
        return frame
