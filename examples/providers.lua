-- Which providers can be asked from here, without asking one; and a question to the first that answers.
--   llmspell run examples/providers.lua
--   llmspell run examples/providers.lua -- "Say hello." --use candle
local providers = Provider.list()
print("configured: " .. table.concat(providers, ", "))
for _, provider in ipairs(providers) do
  local can = provider.capabilities
  print(("%-10s %-9s %s%s"):format(
    provider.name,
    provider.available and "ready" or "not ready",
    provider.reason or provider.default_model or "name a model to use it",
    can.supports_multimodal and ", sees pictures" or ""))
  if can.available_models then
    print("           installed: " .. table.concat(can.available_models, ", "))
  end
end

if ARGS[1] then
  local wanted = ARGS.use or "candle"
  if not Provider.isAvailable(wanted) then
    error(wanted .. " can't be used here", 0)
  end
  -- For this script alone; an agent that names the provider takes it.
  Config.setProvider(wanted, { default_model = ARGS.model or "smollm2:135m", temperature = 0, max_tokens = 20 })
  local agent = Agent.builder():provider(Provider.get(wanted)):build()
  print(agent.model .. ": " .. agent:complete(ARGS[1]))
end
