-- What a call of a tool gives a script, and how tools and their parameters look there. Gets `core`; adds to it.

local core = ...
local ipairs, next, setmetatable, tostring, type = ipairs, next, setmetatable, tostring, type
local sort = table.sort
local array = core.host.array
local json_stringify, parameters_of_schema = core.bind("json_stringify"), core.bind("parameters_of_schema")
local library = core.native.string

-- ## Errors: tables with `message` and `code` that can be used as the text that they stand for

local PROBLEM = { __name = "error" }

function PROBLEM.__tostring(problem)
  return problem.message
end

function PROBLEM.__concat(left, right)
  return tostring(left) .. tostring(right)
end

-- `problem:match("not found")` asks the message, whose methods are those of texts.
function PROBLEM.__index(_, key)
  local method = library[key]
  return method and function(self, ...)
    return method(self.message, ...)
  end
end

function core.problem(message, code)
  return setmetatable({ message = message, code = code }, PROBLEM)
end

-- ## The output table

local function metadata_of(reply, took)
  local metadata = {}
  for key, value in next, reply.metadata or {} do
    metadata[key] = value
  end
  metadata.extra, metadata.execution_time_ms = reply.metadata or {}, took
  return metadata
end

-- The JSON text of a call's envelope: made when it is asked for, since a result may be long.
local function with_raw_text(output, reply)
  local text
  return setmetatable(output, {
    __index = function(_, key)
      if key ~= "_raw_text" then
        return nil
      end
      if text == nil then
        local envelope = {}
        for name, value in next, reply.fields or {} do
          envelope[name] = value
        end
        for _, name in ipairs { "operation", "success", "message", "result", "metadata", "error" } do
          envelope[name] = reply[name]
        end
        text = json_stringify(envelope)
      end
      return text
    end,
  })
end

-- The output table for a reply of `invoke`.
function core.tool_output(reply)
  local took = (reply.duration_ms or 0) // 1 | 0
  local output = {}
  for key, value in next, reply.fields or {} do
    output[key] = value
  end
  output.success, output.operation, output.message = reply.success, reply.operation, reply.message
  output.result, output.output = reply.result, reply.output
  output.data = type(reply.result) == "table" and reply.result or nil
  output.metadata, output.media, output.duration_ms = metadata_of(reply, took), reply.media, took
  if reply.success then
    output.text = reply.text
  else
    output.error = core.problem(reply.error.message, reply.error.code)
  end
  return with_raw_text(output, reply)
end

-- The output table for a call that raised, where others go on.
function core.failed_tool_output(text, code)
  local problem = { message = text, code = code }
  return core.tool_output { success = false, message = text, error = problem, media = array {} }
end

-- ## Parameters: from a JSON Schema to a list, and back

-- `{name, description, parameters = {{name, type, description, required, default?, enum?, also?}}}`.
function core.tool_schema(tool)
  local parameters = parameters_of_schema(tool.parameters or {})
  return { name = tool.name, description = tool.description, parameters = parameters }
end

local PARAMETER = core.key_set { "name", "type", "description", "required", "default", "enum", "also" }

local function schema_of_list(name, list)
  local properties, required = {}, {}
  for index, one in ipairs(list) do
    core.check(1, name .. ": parameter " .. index, "table", one)
    core.check_keys(name .. ": parameter " .. index, one, PARAMETER)
    core.check(1, name .. ": name of parameter " .. index, "string", one.name)
    local kind = one.type ~= "any" and one.type or nil
    properties[one.name] = {
      type = kind, description = one.description, default = one.default, enum = one.enum, ["x-also"] = one.also,
    }
    if one.required then
      required[#required + 1] = one.name
    end
  end
  return { type = "object", properties = properties, required = #required > 0 and required or nil }
end

-- The JSON Schema of a script's own tool: given as one, as `schema.parameters` has it, or as "name, age int".
function core.tool_parameters(name, given)
  if type(given) == "table" and #given > 0 then
    return schema_of_list(name, given)
  end
  return core.schema_of(name .. ": parameters", given)
end

-- ## Lists

local ITEM = core.named_items("tool")

-- A list of summaries, each of which can be printed as its name.
function core.tool_list(summaries)
  local list = {}
  for index, item in ipairs(summaries) do
    list[index] = setmetatable(item, ITEM)
  end
  return array(list)
end

-- The categories of a list, sorted.
function core.tool_categories(list)
  local seen, names = {}, {}
  for _, item in ipairs(list) do
    if not seen[item.category] then
      seen[item.category] = true
      names[#names + 1] = item.category
    end
  end
  sort(names)
  return array(names)
end
