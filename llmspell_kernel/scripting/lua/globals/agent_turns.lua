-- An agent's turns and its conversation. Gets `core`; adds `agent_turns`, which adds them to an agent's methods.

local core = ...
local check, check_optional = core.check, core.check_optional
local request = core.request
local input_of, output_of, options_of = core.agent_input, core.agent_output, core.agent_options
local error, ipairs, type = error, ipairs, type
local yield = coroutine.yield
local now_ms = core.bind("precise_ms")

local function execution(agent, input, options)
  local content = input_of(input)
  content.action, content.agent = "execute", agent.id
  content.options = options_of(options)
  content.remember = agent.remembers
  return content
end

local function execute(agent, input, options, context_id)
  agent.require_alive()
  local content = execution(agent, input, options)
  content.stream, content.context_id = false, context_id
  local started = now_ms()
  local reply = request("agent_request", content)
  return output_of(reply, now_ms() - started), reply
end

-- Runs one turn and gives each piece of the answer to `visit`; false from it ends the turn.
local function stream(agent, input, options, visit)
  agent.require_alive()
  local content = execution(agent, input, options)
  local started = now_ms()
  local reply, text, count = core.stream_reply("agent_request", content, visit)
  if reply == nil then
    return { success = true, chunks_received = count, text = text, stopped = true }
  end
  local result = output_of(reply, now_ms() - started)
  local ending = { text = "", index = count + 1, type = "done" }
  local whole = { chunks_received = count, success = result.success, text = result.text, error = result.error }
  for _, name in ipairs { "finish_reason", "truncated", "metadata", "limit" } do
    ending[name], whole[name] = result[name], result[name]
  end
  whole.tool_calls, whole.dropped = result.tool_calls, result.dropped
  visit(ending)
  return whole
end

-- `(input, fn, options)` and `(input, options, fn)` are both in use.
local function callback_and_options(name, first, second)
  if type(first) == "function" then
    return first, check_optional(3, name, "table", second)
  end
  check_optional(2, name, "table", first)
  return check(3, name, "function", second), first
end

function core.agent_turns(agent, methods)
  function methods.execute(input, options)
    return (execute(agent, input, options))
  end
  methods.invoke, methods.run, methods.chat = methods.execute, methods.execute, methods.execute

  function methods.execute_with_context(input, context)
    return (execute(agent, input, nil, check(2, "agent.execute_with_context", "string", context)))
  end

  function methods.complete(input, options)
    local output, reply = execute(agent, check(1, "agent.complete", "string", input), options)
    local ended = core.agent_limit(reply)
    if ended ~= nil then
      error(ended, 0)
    end
    return output.text
  end
  methods.generate = methods.complete

  function methods.invokeStream(input, first, second)
    local visit, options = callback_and_options("agent.invokeStream", first, second)
    return stream(agent, input, options, visit)
  end

  function methods.stream(input, first, second)
    if type(first) == "function" or type(second) == "function" then
      return methods.invokeStream(input, first, second)
    end
    return core.stream(function()
      stream(agent, input, first, yield)
    end)
  end

  function methods.get_history()
    return agent.ask("info").agent.history or {}
  end

  function methods.clear_history()
    agent.ask("reset")
  end

  function methods.save_state()
    agent.ask("save")
  end

  function methods.load_state()
    return agent.ask("load").found
  end

  function methods.delete_state()
    agent.ask("discard")
  end
end
