-- Replay: how something that was recorded is run again, as objects: configurations, modifications, schedules, and a
-- comparison of results. Nothing is run from here. Gets `core`; returns the global.

local core = ...
local setmetatable = setmetatable

local MODE = { __name = "replay_mode", __tostring = function(mode) return mode.name() end }

local modes = {}
for _, name in ipairs { "exact", "modified", "simulate", "debug" } do
  modes[name] = setmetatable(core.methods({}, { name = function() return name end }, "replay_mode"), MODE)
end
core.replay_modes = modes

local Replay = {
  modes = modes,
  schedules = core.methods({}, core.late({}, "replay_parts.lua", "once interval cron")),
}

return core.methods(Replay, core.late({}, "replay_parts.lua", "create_config create_modification create_comparator"))
