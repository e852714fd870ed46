-- What holds for a script on this machine: the settings behind it, without their secrets.
--   llmspell run examples/what_may_i.lua
--   llmspell run examples/what_may_i.lua -- tools.file_operations
if ARGS[1] then
  print(JSON.stringify(Config.get(ARGS[1]), 2))
  return
end

local function yes(flag)
  return flag and "yes" or "no"
end

local limits = Config.getSecurity()
print("writes below its directory: " .. yes(Config.isFileAccessAllowed()))
print("network for its tools:      " .. yes(Config.isNetworkAccessAllowed()))
print("runs programs:              " .. yes(Config.isProcessSpawnAllowed()))
print(("memory, time:               %d MB, %d s"):format(
  limits.max_memory_bytes // 1000000, limits.max_execution_time_ms // 1000))
for kind, names in pairs(Config.get("tools.permissions")) do
  if #names > 0 then
    print("always allowed: " .. kind .. " " .. table.concat(names, ", "))
  end
end

for _, name in ipairs(Config.listProviders()) do
  local provider = Config.getProvider(name)
  -- A key is never shown: where there is one, it reads <REDACTED>.
  print(("provider %s: %s, key %s"):format(name, provider.default_model or "no default model", provider.api_key or "not in the file"))
end
