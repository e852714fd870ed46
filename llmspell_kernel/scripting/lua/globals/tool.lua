-- Tool: tools that act in the world, as `tool_request`s. Gets `core`; returns the global.

local core = ...
local check, check_optional, check_keys, key_set = core.check, core.check_optional, core.check_keys, core.key_set
local error, ipairs, setmetatable, type = error, ipairs, setmetatable, type
local find = string.find
local try, open, next_event = core.try, core.open, core.next_event

-- What a code means where a tool is called; elsewhere it is a model's.
local SAID = { worker_crashed = "Tool execution error: " }

-- The text to raise for a failed request.
local function said(text, message, code)
  local prefix = SAID[code]
  if code == "busy" and find(message, "^rate limit") then
    prefix = "Rate limit error: "
  end
  return prefix and prefix .. message or text
end

local function tool_request(action, content)
  content.action = action
  local ok, reply, message, code = try("tool_request", content)
  if ok then
    return reply
  end
  local text = said(reply, message, code)
  if text ~= reply then
    core.fail(text)
  end
  error(text, 0)
end

-- The tool that a name means, or nil.
local function found(name)
  local ok, reply, _, code = try("tool_request", { action = "info", tool = name })
  if ok then
    return reply.tool
  end
  if code == "tool_not_found" or code == "not_found" then
    return nil
  end
  error(reply, 0)
end

core.tool_found = found

local function call_of(name, parameters)
  return { action = "invoke", tool = name, parameters = parameters }
end

local function execute(name, parameters)
  return core.tool_output(tool_request("invoke", call_of(name, parameters)))
end
core.tool_execute = execute

-- ## A tool's methods

local function instance(details)
  if details == nil then
    return nil
  end
  local name, schema = details.name, core.tool_schema(details)
  local tool = {
    name = name,
    description = details.description,
    version = details.version,
    category = details.category,
    security_level = details.security_level,
    source = details.source,
    needs = details.needs,
    schema = schema,
  }
  local methods = {}
  function methods.execute(parameters)
    return execute(name, check_optional(1, "tool.execute", "table", parameters))
  end
  function methods.getSchema()
    return schema
  end
  return core.methods(tool, methods, "tool")
end

-- ## The global

local methods = {}

function methods.execute(name, parameters)
  check(1, "Tool.execute", "string", name)
  return execute(name, check_optional(2, "Tool.execute", "table", parameters))
end

function methods.get(name)
  return instance(found(check(1, "Tool.get", "string", name)))
end

function methods.create(name, config)
  check(1, "Tool.create", "string", name)
  check_optional(2, "Tool.create", "table", config)
  return instance(tool_request("info", { tool = name }).tool)
end

local function listed(category)
  local reply = tool_request("list", { category = category })
  for _, problem in ipairs(reply.problems) do
    core.host_log("warn", "Tool.list: " .. problem)
  end
  return core.tool_list(reply.tools)
end

function methods.list()
  return listed(nil)
end

function methods.exists(name)
  return found(check(1, "Tool.exists", "string", name)) ~= nil
end
methods.is_available = methods.exists

function methods.categories()
  return core.tool_categories(listed(nil))
end

local FILTER = key_set { "category", "tag" }

function methods.discover(filter)
  filter = check_optional(1, "Tool.discover", "table", filter) or {}
  check_keys("Tool.discover", filter, FILTER)
  local category = check_optional(1, "Tool.discover: category", "string", filter.category)
  if filter.tag == nil then
    return listed(category)
  end
  local query = check(1, "Tool.discover: tag", "string", filter.tag)
  return core.tool_list(tool_request("search", { query = query, category = category }).matches)
end

function methods.get_info(name)
  local info = found(check(1, "Tool.get_info", "string", name))
  if info ~= nil then
    info.schema = core.tool_schema(info)
  end
  return info
end

function methods.get_schema(name)
  local info = found(check(1, "Tool.get_schema", "string", name))
  return info and core.tool_schema(info)
end

-- ## Several calls at once

local CALL = key_set { "name", "tool", "params", "parameters" }

local function call_in_batch(position, one)
  local where = "Tool.batch: call " .. position
  check_keys(where, check(1, where, "table", one), CALL)
  local parameters = check_optional(1, where .. ": params", "table", one.params or one.parameters)
  return call_of(check(1, where .. ": name", "string", one.name or one.tool), parameters)
end

local function result_of(number)
  while true do
    local kind, content, message, code = next_event(number)
    if kind == "reply" then
      return core.tool_output(content)
    elseif kind == "error" then
      return core.failed_tool_output(said(content, message, code), code)
    end
  end
end

-- All calls run at the same time, as far as there is room; one that raises fails alone.
function methods.batch(calls)
  local wanted, numbers, outputs = {}, {}, {}
  for position, one in ipairs(check(1, "Tool.batch", "table", calls)) do
    wanted[position] = call_in_batch(position, one)
  end
  for position, one in ipairs(wanted) do
    numbers[position] = open("tool_request", one)
  end
  for position, number in ipairs(numbers) do
    outputs[position] = result_of(number)
  end
  return core.host.array(outputs)
end

-- ## A script's own tools

local REGISTERED = key_set { "name", "description", "parameters", "execute", "category", "security_level" }

function methods.register(tool)
  check_keys("Tool.register", check(1, "Tool.register", "table", tool), REGISTERED)
  local name = check(1, "Tool.register: name", "string", tool.name)
  local parameters = core.tool_parameters("Tool.register", tool.parameters)
  local content = {
    name = name,
    description = check(1, "Tool.register: description", "string", tool.description),
    parameters = parameters,
    category = check_optional(1, "Tool.register: category", "string", tool.category),
    security_level = check_optional(1, "Tool.register: security_level", "string", tool.security_level),
    execute = core.offer(check(1, "Tool.register: execute", "function", tool.execute)),
  }
  tool_request("register", content)
  return methods.get(name)
end

function methods.unregister(name)
  local content = { action = "unregister", tool = check(1, "Tool.unregister", "string", name) }
  local ok, reply, _, code = try("tool_request", content)
  if ok or code == "tool_not_found" then
    return ok
  end
  error(reply, 0)
end

-- `Tool.calculator` and `Tool["file-operations"]`: what is no function of ours is a tool's name.
return setmetatable(core.methods({}, methods), {
  __index = function(_, name)
    return type(name) == "string" and instance(found(name)) or nil
  end,
})
