-- The functions of Workflow. Gets `core`; returns them.

local core = ...
local check, check_optional = core.check, core.check_optional
local error, ipairs, type = error, ipairs, type
local array = core.host.array
local objects, definitions = core.module("workflows/objects.lua"), core.module("workflows/definitions.lua")
local ask = objects.ask

local TYPES = {
  { type = "sequential", description = "Steps one after the other", features = { "steps", "error_strategy" } },
  {
    type = "conditional", description = "Steps of the branches whose condition holds",
    features = { "branches", "condition", "default_branch", "execute_all_matching" },
  },
  {
    type = "loop", description = "Steps in rounds: over a range, a collection, or while a condition holds",
    features = { "range", "collection", "while_condition", "break_condition", "state" },
  },
  {
    type = "parallel", description = "Branches side by side",
    features = { "branches", "max_concurrency", "fail_fast", "success_criteria", "post_steps" },
  },
}

local methods = {}

function methods.builder()
  return core.module("workflows/builder.lua")()
end

for _, one in ipairs(TYPES) do
  local kind = one.type
  methods[kind] = function(config)
    if config == nil then
      local builder = methods.builder()
      return builder[kind]()
    end
    return objects.made(kind, check(1, "Workflow." .. kind, "table", config))
  end
end

-- A workflow: itself, or made of a table of settings.
local function workflow_of(where, given)
  check(1, where, "table", given)
  return objects.known(given) and given or objects.made(given.type, given)
end

function methods.execute(workflow, input)
  return workflow_of("Workflow.execute", workflow).execute(input)
end

-- `(id)` for a workflow without functions, `(id, workflow)` for one that the script has built again.
function methods.resume(id, workflow)
  check(1, "Workflow.resume", "string", id)
  return objects.resumed(id, workflow and workflow_of("Workflow.resume", workflow))
end

-- The workflow's executions, or the one with this id; how many were told to end.
function methods.cancel(workflow)
  local id = objects.known(workflow) and workflow.id or check(1, "Workflow.cancel", "string", workflow)
  local ok, reply, _, code = core.try("workflow_request", { action = "cancel", workflow = id })
  if ok then
    return reply.count
  end
  if code == "not_found" then
    return 0
  end
  error(reply, 0)
end

local function type_list(with_ids)
  local list = {}
  for position, one in ipairs(TYPES) do
    list[position] = {
      id = with_ids and one.type or nil, type = one.type, description = one.description, features = array(one.features),
    }
  end
  return array(list)
end

function methods.list()
  local list = {}
  for position, one in ipairs(ask("list", {}).workflows) do
    list[position] = { id = one.id, name = one.name, type = one.type }
  end
  return #list > 0 and array(list) or type_list(true)
end

function methods.types()
  return array { "sequential", "conditional", "loop", "parallel" }
end

function methods.discover_types()
  return type_list(false)
end

function methods.register(kind, config)
  check(1, "Workflow.register", "string", kind)
  return objects.made(kind, check(2, "Workflow.register", "table", config)).id
end

function methods.get(name)
  return objects.found(check(1, "Workflow.get", "string", name))
end

function methods.remove(name)
  local id = objects.known(name) and name.id or check(1, "Workflow.remove", "string", name)
  return objects.removed(id)
end

function methods.clear()
  for _, one in ipairs(ask("list", {}).workflows) do
    objects.removed(one.id)
  end
end

-- ## JSON

local stringify, parse = core.bind("json_stringify"), core.bind("json_parse")

function methods.to_json(workflow, indent)
  workflow = workflow_of("Workflow.to_json", workflow)
  if type(indent) == "boolean" then
    indent = indent and 2 or nil
  end
  check_optional(2, "Workflow.to_json", "number", indent)
  return stringify(definitions.portable(ask("info", { workflow = workflow.id }).workflow.definition), indent or 2)
end

function methods.from_json(text)
  local config = parse(check(1, "Workflow.from_json", "string", text))
  if type(config) ~= "table" then
    error("Validation error: a workflow's JSON is an object", 0)
  end
  return objects.made(config.type, config, config.dialect)
end

return methods
