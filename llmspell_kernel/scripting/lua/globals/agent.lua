-- Agent: models with a system prompt and a conversation, as `agent_request`s. Gets `core`; returns the global.

local core = ...
local check, check_optional = core.check, core.check_optional
local request = core.request
local builder_of, configuration = core.agent_builder, core.agent_configuration
local input_of, output_of, options_of = core.agent_input, core.agent_output, core.agent_options
local now_ms = core.bind("precise_ms")

local function agent_request(action, content)
  content.action = action
  return request("agent_request", content)
end

-- ## An agent's methods

local function execution(agent, input, options)
  local content = input_of(input)
  content.action, content.agent = "execute", agent.id
  content.options = options_of(options)
  content.remember = agent.settings.remember ~= false
  return content
end

local function require_alive(agent)
  if agent.destroyed then
    error("Agent '" .. agent.name .. "' has been destroyed", 0)
  end
end

local function execute(agent, input, options)
  require_alive(agent)
  local content = execution(agent, input, options)
  content.stream = false
  local started = now_ms()
  return output_of(request("agent_request", content), now_ms() - started)
end

-- Runs one turn and gives each piece of the answer to `visit`; false from it ends the turn.
local function stream(agent, input, options, visit)
  require_alive(agent)
  local content = execution(agent, input, options)
  local started = now_ms()
  local reply, text, count = core.stream_reply("agent_request", content, visit)
  if reply == nil then
    return { success = true, chunks_received = count, text = text, stopped = true }
  end
  local result = output_of(reply, now_ms() - started)
  local reason, truncated, metadata = result.finish_reason, result.truncated, result.metadata
  local ending = { finish_reason = reason, truncated = truncated, metadata = metadata }
  ending.text, ending.index, ending.type = "", count + 1, "done"
  visit(ending)
  return {
    success = true,
    chunks_received = count,
    text = result.text,
    finish_reason = reason,
    truncated = truncated,
    metadata = metadata,
  }
end

-- `(input, fn, options)` and `(input, options, fn)` are both in use.
local function callback_and_options(name, first, second)
  if type(first) == "function" then
    return first, check_optional(3, name, "table", second)
  end
  check_optional(2, name, "table", first)
  return check(3, name, "function", second), first
end

local function instance(summary, settings)
  local state = { id = summary.id, name = summary.name, settings = settings, destroyed = false }
  local agent = {
    id = summary.id,
    name = summary.name,
    model = summary.model,
    provider = summary.provider,
    description = summary.description,
    type = summary.type or "llm",
    success = true,
  }
  agent.result = agent

  local methods = {}
  function methods.execute(input, options)
    return execute(state, input, options)
  end
  methods.invoke, methods.run, methods.chat = methods.execute, methods.execute, methods.execute

  function methods.complete(input, options)
    return execute(state, check(1, "agent.complete", "string", input), options).text
  end
  methods.generate = methods.complete

  function methods.invokeStream(input, first, second)
    local visit, options = callback_and_options("agent.invokeStream", first, second)
    return stream(state, input, options, visit)
  end

  function methods.stream(input, first, second)
    if type(first) == "function" or type(second) == "function" then
      return methods.invokeStream(input, first, second)
    end
    return core.stream(function()
      stream(state, input, first, coroutine.yield)
    end)
  end

  function methods.get_history()
    require_alive(state)
    return agent_request("info", { agent = state.id }).agent.history or {}
  end

  function methods.clear_history()
    require_alive(state)
    agent_request("reset", { agent = state.id })
  end

  function methods.destroy()
    require_alive(state)
    agent_request("delete", { agent = state.id })
    state.destroyed = true
  end

  return core.methods(agent, methods, "agent")
end

-- ## Making agents

local function build(settings)
  local content = configuration(settings)
  content.action = "create"
  return instance(request("agent_request", content).agent, settings)
end

local function create(config)
  return build(core.agent_settings(check(1, "Agent.create", "table", config)))
end

return core.methods({}, {
  create = create,
  createAsync = create, -- synchronous like all calls, in spite of its name
  builder = function() return builder_of(build) end,
})
