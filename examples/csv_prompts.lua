-- A prompt for each row of a CSV file, with a progress on standard error; the answers as CSV.
--   llmspell run examples/csv_prompts.lua -- people.csv --prompt "Greet {name} from {town} in one sentence." > out.csv
local path = ARGS[1] or error("usage: llmspell run examples/csv_prompts.lua -- FILE --prompt TEXT", 0)
local template = ARGS.prompt or "Say something about {name}."

local rows = Tool.execute("csv-analyzer", { operation = "parse", file_path = path, has_headers = true }).result

local function csv_cell(text)
  return text:find('[",\n]') and '"' .. text:gsub('"', '""') .. '"' or text
end

-- Agents without a memory: each row stands alone.
local agent = Agent.create {
  model = ARGS.model or "smollm2:135m@candle",
  temperature = 0,
  max_tokens = tonumber(ARGS["max-tokens"]) or 40,
  memory_enabled = false,
}

local started, failed = Utils.now_ms(), 0
print("prompt,answer")
for position, row in ipairs(rows) do
  local prompt = template:gsub("{(%w+)}", function(column)
    return tostring(row[column] == nil and "?" or row[column])
  end)
  local ok, answer = pcall(agent.complete, agent, prompt)
  failed = failed + (ok and 0 or 1)
  print(csv_cell(prompt) .. "," .. csv_cell(ok and Utils.trim(answer) or "ERROR: " .. answer))
  local left = (Utils.now_ms() - started) / position * (#rows - position) / 1000
  io.stderr:write(("%d of %d, about %.0f s left\n"):format(position, #rows, left))
end
os.exit(failed == 0 and 0 or 1)
