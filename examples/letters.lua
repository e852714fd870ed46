-- Fills a template for each row of a CSV file: letters, pages, commands. No model is asked.
--   llmspell run examples/letters.lua -- letter.txt people.csv
local template_path, rows_path = ARGS[1], ARGS[2]
if not rows_path then
  error("usage: llmspell run examples/letters.lua -- TEMPLATE FILE.csv", 0)
end

local file = assert(io.open(template_path))
local template = file:read("a")
file:close()
local rows = Tool.execute("csv-analyzer", { operation = "parse", file_path = rows_path, has_headers = true }).result

-- All of them at once: Tool.batch runs calls side by side and keeps their order.
local calls = {}
for position, row in ipairs(rows) do
  row.number, row.today = position, os.date("%Y-%m-%d")
  calls[position] = { name = "template-creator", params = { input = template, context = row, auto_escape = false } }
end
for position, output in ipairs(Tool.batch(calls)) do
  if not output.success then
    error(("row %d: %s"):format(position, output.error.message), 0)
  end
  print(output.output)
end
