-- The tools that an agent may call, as its methods show them. Gets `core`; adds `agent_tools`, which adds them.

local core = ...
local check, check_optional = core.check, core.check_optional
local error, ipairs = error, ipairs
local array = core.host.array

local function described(tool)
  return {
    name = tool.name,
    description = tool.description,
    version = tool.version,
    category = tool.category,
    security_level = tool.security_level,
  }
end

-- The tools of its list that there still are: a script's own may have been taken back.
local function allowed(agent)
  local tools = {}
  for _, name in ipairs(agent.ask("info").agent.tools) do
    tools[#tools + 1] = core.tool_found(name)
  end
  return tools
end

-- The tool of a name, if the agent may call it; names are read as `Tool.get` reads them.
local function allowed_one(agent, name)
  local tools, meant = allowed(agent), core.tool_found(name)
  for _, tool in ipairs(tools) do
    if meant ~= nil and tool.name == meant.name then
      return tool
    end
  end
  return nil
end

function core.agent_tools(agent, methods)
  function methods.discover_tools()
    local names = {}
    for position, tool in ipairs(allowed(agent)) do
      names[position] = tool.name
    end
    return array(names)
  end

  function methods.has_tool(name)
    return allowed_one(agent, check(1, "agent.has_tool", "string", name)) ~= nil
  end

  function methods.get_tool_metadata(name)
    local tool = allowed_one(agent, check(1, "agent.get_tool_metadata", "string", name))
    return tool and described(tool)
  end

  function methods.get_all_tool_metadata()
    local all = {}
    for _, tool in ipairs(allowed(agent)) do
      all[tool.name] = described(tool)
    end
    return all
  end

  function methods.invokeTool(name, parameters)
    check(1, "agent.invokeTool", "string", name)
    check_optional(2, "agent.invokeTool", "table", parameters)
    local tool = allowed_one(agent, name)
    if tool == nil then
      error("Tool '" .. name .. "' not found among the tools of agent '" .. agent.name .. "'", 0)
    end
    return core.tool_execute(tool.name, parameters)
  end
  methods.invoke_tool = methods.invokeTool
end
