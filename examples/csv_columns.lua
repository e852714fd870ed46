-- What is in a CSV file: a line for each column, and the rows that a condition finds.
--   llmspell run examples/csv_columns.lua -- people.csv --where "age > 30"
local path = ARGS[1] or error("usage: llmspell run examples/csv_columns.lua -- FILE [--where CONDITION]", 0)

local csv = Tool.get("csv-analyzer")
local told = csv:execute { operation = "analyze", file_path = path, has_headers = true }
if not told.success then
  error(told.error.message, 0)
end
print(("%d rows, separated by '%s'"):format(told.result.row_count, told.result.delimiter))
for _, column in ipairs(told.result.columns) do
  local figures = column.mean and ("from %s to %s, mean %.1f"):format(column.min_value, column.max_value, column.mean)
    or ("%d different"):format(column.unique_count)
  print(("%-12s %-8s %s"):format(column.name, column.data_type, figures))
end

if ARGS.where then
  -- A wrong condition raises; what it says is for the person.
  local ok, found = pcall(csv.execute, { operation = "filter", file_path = path, has_headers = true, filter = ARGS.where })
  if not ok then
    error("--where: " .. found, 0)
  end
  for _, row in ipairs(found.result) do
    print(JSON.stringify(row))
  end
end
