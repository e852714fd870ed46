-- Workflows as scripts hold them: made, executed, asked about. Gets `core`; returns `made`, `found`, `removed`, `resumed`,
-- `known`, `ask`.

local core = ...
local check = core.check
local error, ipairs, next, pcall, tostring, type = error, ipairs, next, pcall, tostring, type
local concat, sort = table.concat, table.sort
local array = core.host.array
local definitions, results = core.module("workflows/definitions.lua"), core.module("workflows/results.lua")

local objects = {}

-- The workflows of this script by id; what `Workflow.get` gives is the one that was made.
local by_id = {}

function objects.ask(action, content)
  content.action = action
  return core.request("workflow_request", content)
end
local ask = objects.ask

-- Whether a value is a workflow.
function objects.known(value)
  return type(value) == "table" and core.kinds[value] == "workflow"
end

local NOT_RUN = "No workflow execution found. Run execute() first."

-- What was asked for beside the steps: `{input = {…}}` is the input itself.
local function input_of(given)
  if type(given) == "table" and type(given.input) == "table" then
    local key = next(given)
    if key == "input" and next(given, key) == nil then
      return given.input
    end
  end
  return given
end

-- The result of an execution; the builder's workflows raise where one has failed.
local function settled(reply, dialect)
  local result = results.decorated(reply.result)
  if result.success or dialect ~= "builder" or result.partial_success or result.skipped then
    return result
  end
  error("Workflow execution error: " .. tostring(result.error), 0)
end

local function call_all(callbacks, ...)
  for _, fn in ipairs(callbacks) do
    fn(...)
  end
end

local function sorted_keys(values)
  local keys = {}
  for key in next, values or {} do
    keys[#keys + 1] = key
  end
  sort(keys)
  return array(keys)
end

local function instance(summary, config, dialect)
  local id = summary.id
  local state = { status = "not_executed", before = {}, after = {}, on_error = {} }
  local workflow = { id = id, name = summary.name, type = summary.type, config = config }
  local methods = {}

  -- Runs `action` and keeps what came of it.
  local function run(content, action)
    call_all(state.before, { workflow = workflow.name, input = content.input })
    state.status = "running"
    local ok, reply = pcall(ask, action, content)
    if not ok then
      state.status = "failed"
      call_all(state.on_error, reply)
      error(reply, 0)
    end
    state.execution_id = reply.execution_id
    state.result = results.decorated(reply.result)
    state.status = reply.result.success and "completed" or "failed"
    if not reply.result.success then
      call_all(state.on_error, reply.result.error)
    end
    call_all(state.after, reply.result)
    return settled(reply, dialect)
  end

  local function last()
    if state.result == nil then
      error(NOT_RUN, 0)
    end
    return state.result
  end

  function methods.execute(input)
    if input ~= nil and type(input) ~= "string" then
      check(1, "workflow.execute", "table", input)
    end
    return run({ workflow = id, input = input_of(input), progress = false }, "execute")
  end
  methods.execute_async = methods.execute -- synchronous like all calls, in spite of its name

  function methods.resume(execution)
    check(1, "workflow.resume", "string", execution)
    return run({ workflow = id, execution_id = execution, progress = false }, "resume")
  end

  function methods.cancel()
    return core.module("workflows/workflow.lua").cancel(id)
  end

  function methods.get_info()
    local info = ask("info", { workflow = id }).workflow
    return {
      id = id, name = info.name, type = info.type, description = info.description, step_count = info.step_count,
      executions = info.executions,
    }
  end

  function methods.get_status()
    return state.status
  end

  -- ## Data

  function methods.set_shared_data(key, value)
    check(1, "workflow.set_shared_data", "string", key)
    if value == nil then
      value = core.host.null
    end
    ask("share", { workflow = id, values = { [key] = value } })
  end

  function methods.get_shared_data(key)
    return ask("share", { workflow = id }).shared[check(1, "workflow.get_shared_data", "string", key)]
  end

  function methods.get_output(step)
    local value = last().outputs
    return value and value[check(1, "workflow.get_output", "string", step)]
  end

  function methods.get_all_outputs()
    return last().outputs or {}
  end

  function methods.list_outputs()
    return sorted_keys(last().outputs)
  end

  function methods.clear_outputs()
    local count = #sorted_keys(last().outputs)
    state.result.outputs = {}
    return { deleted = count }
  end

  function methods.get_execution_id()
    last()
    return state.execution_id
  end

  -- ## Callbacks of the object

  for name, list in next, { on_before_execute = state.before, on_after_execute = state.after, on_error = state.on_error } do
    methods[name] = function(fn)
      list[#list + 1] = check(1, "workflow." .. name, "function", fn)
      return workflow
    end
  end

  -- ## Looking at it

  function methods.validate()
    local info = ask("info", { workflow = id }).workflow
    local problems = info.step_count == 0 and { "Cannot execute workflow without steps" } or {}
    return { valid = #problems == 0, workflow_id = id, warnings = array {}, errors = array(problems) }
  end

  function methods.emit(name, data)
    check(1, "workflow.emit", "string", name)
    core.request("event_request", { action = "publish", event_type = name, data = data })
  end

  function methods.debug()
    local info = methods.get_info()
    return concat({
      "Workflow '" .. info.name .. "' (" .. info.type .. ")", "id: " .. id, "steps: " .. info.step_count,
      "status: " .. state.status,
    }, "\n")
  end

  by_id[id] = core.methods(workflow, methods, "workflow")
  return workflow
end

-- A workflow of a table of settings, or of what a builder has gathered.
function objects.made(kind, config, dialect)
  local definition = definitions.plain(config)
  definition.type = kind
  if kind == nil then
    error("Workflow type not specified", 0)
  end
  definition.dialect = dialect
  return instance(ask("create", { definition = definition }).workflow, config, dialect)
end

-- The script's workflow of this name or id, or nil.
function objects.found(name)
  local ok, reply, _, code = core.try("workflow_request", { action = "info", workflow = name })
  if ok then
    return by_id[reply.workflow.id] or instance(reply.workflow, reply.workflow.definition, reply.workflow.definition.dialect)
  end
  if code == "not_found" then
    return nil
  end
  error(reply, 0)
end

-- Takes a workflow away; whether there was one.
function objects.removed(name)
  local ok, reply, _, code = core.try("workflow_request", { action = "delete", workflow = name })
  if ok then
    by_id[reply.workflow.id] = nil
    return true
  end
  if code == "not_found" then
    return false
  end
  error(reply, 0)
end

-- Goes on with an execution that was cut.
function objects.resumed(execution, workflow)
  if workflow ~= nil then
    return workflow.resume(execution)
  end
  return settled(ask("resume", { execution_id = execution, progress = false }))
end

return objects
