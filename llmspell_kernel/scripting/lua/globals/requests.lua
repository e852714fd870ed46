-- What globals ask the kernel for: the contents of the protocol, over this worker's pipe. Gets `core`; adds to it.

local core = ...
local try, open, next_event, close = core.bind("request"), core.bind("open"), core.bind("next_event"), core.bind("close")
local fail = core.bind("fail")
local error = error

-- One request and its reply: true and the content, or false, the text to raise, the bare message and the code.
core.try = try

-- The reply's content; a failing request raises its text.
function core.request(msg_type, content)
  local ok, reply = try(msg_type, content)
  if not ok then
    error(reply, 0)
  end
  return reply
end

-- A request whose answers come one by one: `next_event(id)` gives "progress", "delta" or "reply" and the content, or
-- "error", the text to raise, the bare message and the code. `close(id)` cancels what is not finished.
core.open, core.next_event, core.close = open, next_event, close

-- Raises `text` in place of the failed request's own, keeping its code and hint for the one who reads the error.
function core.fail(text)
  fail(text)
  error(text, 0)
end

-- The backends on the kernel's machine, as the protocol names them.
core.local_backends = { "ollama", "candle" }

-- What stands for a function in a request's content: the kernel calls it by this until it is released.
core.offer = core.bind("offer")

local log = core.bind("log")

-- A line in the kernel's log, from the globals themselves.
function core.host_log(level, message)
  log(level, message)
end
