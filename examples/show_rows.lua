-- Shows a CSV file as a table, with a bar while it is read: rich in a notebook, text in a terminal.
--   llmspell run examples/show_rows.lua -- people.csv
local path = ARGS[1]
if not path then
  error("usage: llmspell run examples/show_rows.lua -- FILE.csv", 0)
end
local rows = Tool.execute("csv-analyzer", { operation = "parse", file_path = path, has_headers = true }).result

local longest = 0
for _, row in Progress.each(rows, "rows") do
  for _, value in pairs(row) do
    longest = math.max(longest, #tostring(value))
  end
end

display(rows)
display { markdown = ("**%d rows**, the longest value has %d characters"):format(#rows, longest) }

-- An object shows itself by what its metatable has.
local Bars = {}
Bars.__index = Bars
function Bars:__repr_svg()
  local drawn = {}
  for i, row in ipairs(self.rows) do
    drawn[i] = ('<rect y="%d" width="%d" height="10"/>'):format(12 * (i - 1), #tostring(row[self.column]) * 8)
  end
  return ('<svg xmlns="http://www.w3.org/2000/svg" width="300" height="%d">%s</svg>'):format(12 * #drawn, table.concat(drawn))
end
function Bars:__repr_text()
  return ("a chart of %d bars"):format(#self.rows)
end
local first_column = next(rows[1] or { none = true })
display(setmetatable({ rows = rows, column = first_column }, Bars))
