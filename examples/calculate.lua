-- Computes every line of standard input, all of them at the same time.
--   printf '2 + 3\nsqrt(2) * 10\n1 / 0\n' | llmspell run examples/calculate.lua
local lines, calls = {}, {}
for line in io.lines() do
  if line:find("%S") then
    lines[#lines + 1] = line
    calls[#calls + 1] = { name = "calculator", params = { input = line } }
  end
end

local failed = 0
for position, output in ipairs(Tool.batch(calls)) do
  if output.success then
    print(lines[position] .. " = " .. output.text)
  else
    failed = failed + 1
    io.stderr:write(output.error .. "\n")
  end
end
os.exit(failed == 0 and 0 or 1)
