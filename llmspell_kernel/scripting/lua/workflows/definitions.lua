-- From the tables that scripts write to a definition as the kernel reads it: functions, agents and workflows in them
-- become what stands for them. Gets `core`; returns `plain` and `portable`.

local core = ...
local error, ipairs, next, pcall, tostring, type = error, ipairs, next, pcall, tostring, type
local getmetatable, rawequal, setmetatable = getmetatable, rawequal, setmetatable
local wrapped = core.module("workflows/functions.lua").wrapped

local MAX_DEPTH = 100

-- What an object of ours is called in a definition.
local function name_of(object)
  local kind = core.kinds[object]
  if kind == "agent" or kind == "workflow" then
    return object.id
  elseif kind == "tool" then
    return object.name
  elseif kind == "builder" then
    error("Validation error: a builder stands where an agent is needed; call :build()", 0)
  elseif kind == "workflow_builder" then
    error("Validation error: a builder stands where a workflow is needed; call :build()", 0)
  end
  return nil
end

local definitions = {}

-- A value with each function offered to the kernel once, however often it stands in it.
function definitions.plain(value, offered, depth)
  offered, depth = offered or {}, depth or 0
  if type(value) == "function" then
    offered[value] = offered[value] or wrapped(value)
    return offered[value]
  end
  if type(value) ~= "table" or rawequal(value, core.host.null) then
    return value
  end
  local name = name_of(value)
  if name ~= nil then
    return name
  end
  if value["$fn"] ~= nil then
    -- Data of others that say so would be taken for a function of this script's.
    error("Validation error: a workflow's settings can't have the key '$fn'", 0)
  end
  if depth > MAX_DEPTH then
    error("Validation error: a workflow's settings are nested deeper than " .. MAX_DEPTH .. ", or contain themselves", 0)
  end
  local copy = {}
  for key, item in next, value do
    copy[key] = definitions.plain(item, offered, depth + 1)
  end
  -- What tells an array from a table that is empty.
  return core.host.shape(value) ~= nil and setmetatable(copy, getmetatable(value)) or copy
end

local function refuse_functions(value, where)
  if type(value) ~= "table" or rawequal(value, core.host.null) then
    return
  end
  if value["$fn"] ~= nil then
    error("Validation error: " .. where .. " is a function, which JSON can't hold", 0)
  end
  for key, item in next, value do
    local inside = type(item) == "table" and type(item.name) == "string" and "'" .. item.name .. "'" or tostring(key)
    refuse_functions(item, where .. ", " .. inside)
  end
end

local SETTINGS = {
  "model", "description", "system_prompt", "schema", "device", "max_conversation_length", "max_conversation_tokens",
  "summarize", "max_execution_time_s", "max_tokens_total", "tools", "tool_mode", "max_tool_calls",
}

local function agent_settings(details)
  local settings = { type = details.type ~= "llm" and details.type or nil }
  for _, key in ipairs(SETTINGS) do
    settings[key] = details[key]
  end
  settings.options = next(details.options) ~= nil and details.options or nil
  if details.type == "basic" then
    settings.model, settings.tools = nil, nil
  end
  return settings
end

-- The agents that the steps name, with their settings; a step names them by name from here on.
local function take_agents(value, agents)
  if type(value) ~= "table" or rawequal(value, core.host.null) then
    return
  end
  if type(value.agent) == "string" and agents[value.agent] == nil then
    local ok, details = pcall(core.agent_found, value.agent)
    if ok and details ~= nil then
      if details.type == "composite" then
        error("Validation error: agent '" .. details.name .. "' is made of others, which JSON can't hold", 0)
      end
      value.agent = details.name
      agents[details.name] = agent_settings(details)
    end
  end
  for _, item in next, value do
    take_agents(item, agents)
  end
end

local function take_workflows(value, depth)
  if type(value) ~= "table" or rawequal(value, core.host.null) then
    return
  end
  if depth > 32 then
    error("Validation error: a workflow runs itself, which JSON can't hold", 0)
  end
  if type(value.workflow) == "string" then
    local reply = core.request("workflow_request", { action = "info", workflow = value.workflow })
    value.workflow = reply.workflow.definition
  end
  for _, item in next, value do
    take_workflows(item, depth + 1)
  end
end

-- A definition that stands alone: with the workflows and the agents that its steps name.
function definitions.portable(definition)
  take_workflows(definition, 0)
  refuse_functions(definition, "workflow '" .. tostring(definition.name or definition.type) .. "'")
  local agents = definition.agents or {}
  take_agents(definition.steps, agents)
  for _, key in ipairs { "branches", "body", "pre_steps", "post_steps", "then_branch", "else_branch", "default_branch", "default", "condition", "pre_condition" } do
    take_agents(definition[key], agents)
  end
  definition.agents = next(agents) ~= nil and agents or nil
  return definition
end

return definitions
