-- Logger: lines into the kernel's log, with the script's name. Gets `core`; returns the global.

local core = ...
local log = core.bind("log")

local Logger = {}
local methods = {}

core.levels.add_to(methods, "Logger", "TRACE", function(_, level, message, data)
  local module = type(data) == "string" and data or nil
  log(level, message, module, type(data) == "table" and data or nil)
end)

return core.methods(Logger, methods)
