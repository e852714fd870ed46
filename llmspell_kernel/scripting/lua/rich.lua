-- What a value looks like beside its text: forms by MIME type, tables of rows, and the displays that scripts make.
-- Gets `core`; returns the functions behind `display`, `update_display` and `clear_output`, and `of_value`.

local core = ...
local show_in_kernel, to_base64, uuid = core.bind("show"), core.bind("to_base64"), core.bind("uuid")
local check, check_optional, check_keys, key_set = core.check, core.check_optional, core.check_keys, core.key_set
local error, type, tostring, next, pcall, getmetatable = error, type, tostring, next, pcall, getmetatable
local rawget, rawlen, setmetatable = rawget, rawlen, setmetatable
local find, gsub, sub, format, rep, unpack_string = string.find, string.gsub, string.sub, string.format, string.rep, string.unpack
local concat, sort, math_type, min, max = table.concat, table.sort, math.type, math.min, math.max
local length_of, offset_of = utf8.len, utf8.offset

local PLAIN = "text/plain"

-- The forms by their short names; any other MIME type is its own name.
local FORMS = {
  text = PLAIN,
  html = "text/html",
  markdown = "text/markdown",
  latex = "text/latex",
  svg = "image/svg+xml",
  png = "image/png",
  jpeg = "image/jpeg",
  gif = "image/gif",
  webp = "image/webp",
  pdf = "application/pdf",
  json = "application/json",
  vega_lite = "application/vnd.vegalite.v5+json",
}

-- Whether the form's value is bytes, which travel in base64.
local function is_binary(mime)
  return find(mime, "^image/") ~= nil and mime ~= "image/svg+xml" or find(mime, "^audio/") ~= nil
    or find(mime, "^video/") ~= nil or mime == "application/pdf" or mime == "application/octet-stream"
end

local function is_data(mime)
  return find(mime, "json$") ~= nil
end

local function mime_of(name)
  return type(name) == "string" and (FORMS[name] or find(name, "^[%w!#$&^_.+-]+/[%w!#$&^_.+-]+$") and name) or nil
end

-- ## Text for what has none

local ENTITIES = { lt = "<", gt = ">", amp = "&", quot = '"', nbsp = " " }

local function text_of_html(html)
  local text = gsub(html, "<[sS][tTcC][yYrR].-</[sS][tTcC][yYrR]%w+>", "")
  text = gsub(gsub(text, "</[tphdlTPHDL]%w*>", "\n"), "<[bB][rR]%s*/?>", "\n")
  text = gsub(gsub(text, "<[^>]*>", ""), "&(%a+);", ENTITIES)
  text = gsub(gsub(gsub(text, "&#39;", "'"), "[ \t]+", " "), "%s*\n%s*", "\n")
  return (gsub(gsub(text, "^%s+", ""), "%s+$", ""))
end

local function size_of(bytes)
  return bytes < 1000 and bytes .. " B" or format("%.1f kB", bytes / 1000)
end

local function text_of_form(mime, value)
  if mime == "text/html" then
    local text = text_of_html(value)
    return text ~= "" and text or "<html>"
  elseif mime == "text/markdown" or mime == "text/latex" then
    return value
  elseif mime == FORMS.vega_lite then
    return "<vega-lite>"
  elseif is_data(mime) then
    return type(value) == "string" and value or core.display(value)
  elseif mime == "image/png" and #value >= 24 and sub(value, 2, 4) == "PNG" then
    local width, height = unpack_string(">I4I4", value, 17)
    return format("<png %d×%d, %s>", width, height, size_of(#value))
  end
  return format("<%s, %s>", (gsub(gsub(mime, "^image/", ""), "%+xml$", "")), size_of(#tostring(value)))
end

local ORDER = { "text/markdown", "text/latex", "text/html", "application/json" }

local function add_text(data, raw)
  if data[PLAIN] ~= nil then
    return
  end
  for _, mime in next, ORDER do
    if raw[mime] ~= nil then
      data[PLAIN] = text_of_form(mime, raw[mime])
      return
    end
  end
  local first
  for mime in next, raw do
    if first == nil or mime < first then
      first = mime
    end
  end
  data[PLAIN] = first and text_of_form(first, raw[first]) or ""
end

-- ## Forms given by name

local function add_form(bundle, raw, mime, value, where)
  if type(value) == "number" and not is_data(mime) then
    value = tostring(value)
  end
  if not is_data(mime) and type(value) ~= "string" then
    error(format("%s: %s has to be a string, got %s", where, mime, type(value)), 0)
  end
  raw[mime] = value
  bundle.data[mime] = is_binary(mime) and to_base64(value) or value
end

-- The bundle of a table whose keys are all names of forms; nil for any other one.
local function given_forms(value)
  if type(value) ~= "table" or getmetatable(value) ~= nil or next(value) == nil then
    return nil
  end
  for key in next, value do
    if mime_of(key) == nil then
      return nil
    end
  end
  local bundle, raw = { data = {}, metadata = {} }, {}
  for key, form in next, value do
    add_form(bundle, raw, mime_of(key), form, "display")
  end
  add_text(bundle.data, raw)
  return bundle
end

-- ## Forms that an object gives by itself

local REPRS = { __repr_text = PLAIN }
for name, mime in next, FORMS do
  REPRS["__repr_" .. name] = mime
end

local function warn(text)
  core.host.write("stderr", "warning: " .. text .. "\n")
end

-- What a method of the metatable gives; an error of it is shown, and the other forms are left.
local function from_method(name, fn, value)
  local ok, form, metadata = pcall(fn, value)
  if not ok then
    warn(name .. ": " .. (type(form) == "string" and form or core.display(form)))
    return nil
  end
  return form, metadata
end

local function own_forms(value)
  local meta = getmetatable(value)
  if type(meta) ~= "table" then
    return nil
  end
  local bundle, raw, found = { data = {}, metadata = {} }, {}, false
  local function add(name, mime, form, metadata)
    local ok, problem = pcall(add_form, bundle, raw, mime, form, name)
    if not ok then
      warn(problem)
    else
      found = true
      if type(metadata) == "table" then
        bundle.metadata[mime] = metadata
      end
    end
  end
  local names = {}
  for key in next, meta do
    if type(key) == "string" and find(key, "^__repr_") then
      names[#names + 1] = key
    end
  end
  sort(names)
  for _, name in next, names do
    local fn, mime = meta[name], REPRS[name]
    if name == "__repr_bundle" then
      local forms = from_method(name, fn, value)
      for key, form in next, type(forms) == "table" and forms or {} do
        if mime_of(key) then
          add(name, mime_of(key), form)
        else
          warn(name .. ": " .. tostring(key) .. " is no form")
        end
      end
    elseif mime == nil then
      warn(name .. " is no form that can be shown")
    else
      local form, metadata = from_method(name, fn, value)
      if form ~= nil then
        add(name, mime, form, metadata)
      end
    end
  end
  if not found then
    return nil
  end
  if bundle.data[PLAIN] == nil then
    bundle.data[PLAIN] = core.display(value)
  end
  return bundle
end

-- ## Tables of rows

local MAX_ROWS, MAX_COLUMNS, MAX_CELL, MAX_LOOKED = 60, 20, 200, 1000

local function is_plain(value)
  local meta = getmetatable(value)
  return type(meta) ~= "table" or rawget(meta, "__tostring") == nil and rawget(meta, "__index") == nil
end

-- "list" or "map" and the number of rows of a table that holds rows of one kind and nothing else; nil for others.
local function rows_of(value)
  local count = type(value) == "table" and rawlen(value) or 0
  if count == 0 or not is_plain(value) then
    return nil
  end
  local kind
  for i = 1, min(count, MAX_LOOKED) do
    local row = rawget(value, i)
    if type(row) ~= "table" or next(row) == nil or not is_plain(row) then
      return nil
    end
    local its = rawlen(row) > 0 and "list" or "map"
    for key in next, row do
      if its == "map" and type(key) ~= "string" or its == "list" and math_type(key) ~= "integer" then
        return nil
      end
    end
    if kind ~= nil and kind ~= its then
      return nil
    end
    kind = its
  end
  local entries = 0
  for _ in next, value do
    entries = entries + 1
    if entries > count then
      return nil
    end
  end
  return kind, count
end

local function shortened(text)
  local size = length_of(text)
  if size == nil then
    text = core.display(text)
    size = length_of(text) or #text
  end
  if size > MAX_CELL then
    text = sub(text, 1, (offset_of(text, MAX_CELL + 1) or MAX_CELL + 1) - 1) .. "…"
  end
  return text
end

local function cell(value)
  if value == nil then
    return ""
  elseif type(value) == "string" then
    return shortened(value)
  end
  return shortened(core.display(value))
end

-- The names of the columns (nil for lists), how many are left out, and the cells of the rows that are shown.
local function grid(value, kind, count, columns)
  local shown = min(count, MAX_ROWS)
  local names, keys = nil, {}
  if columns ~= nil then
    names, keys = columns, columns
  elseif kind == "map" then
    local seen = {}
    for i = 1, min(count, MAX_LOOKED) do
      for key in next, value[i] do
        if not seen[key] then
          seen[key] = true
          keys[#keys + 1] = key
        end
      end
    end
    sort(keys)
    names = keys
  else
    local widest = 0
    for i = 1, shown do
      widest = max(widest, rawlen(value[i]))
    end
    for i = 1, widest do
      keys[i] = i
    end
  end
  local left = max(0, #keys - MAX_COLUMNS)
  local rows = {}
  for i = 1, shown do
    local row, cells = value[i], {}
    for j = 1, #keys - left do
      cells[j] = cell(rawget(row, keys[j]))
    end
    rows[i] = cells
  end
  return names, left, rows, #keys - left
end

local ESCAPED = { ["<"] = "&lt;", [">"] = "&gt;", ["&"] = "&amp;", ['"'] = "&quot;" }

local function escape(text)
  return (gsub(text, '[<>&"]', ESCAPED))
end

local function html_row(cells, width, tag, more)
  local parts = { "<tr>" }
  for j = 1, width do
    parts[#parts + 1] = "<" .. tag .. ">" .. escape(cells[j]) .. "</" .. tag .. ">"
  end
  if more > 0 then
    parts[#parts + 1] = "<" .. tag .. ">" .. (tag == "th" and format("… %d more", more) or "…") .. "</" .. tag .. ">"
  end
  parts[#parts + 1] = "</tr>"
  return concat(parts)
end

local function html_of(names, left, rows, width, count)
  local lines = { "<table>" }
  if names ~= nil then
    local shown = {}
    for j = 1, width do
      shown[j] = cell(names[j])
    end
    lines[2] = "<thead>" .. html_row(shown, width, "th", left) .. "</thead>"
  end
  lines[#lines + 1] = "<tbody>"
  for i = 1, #rows do
    lines[#lines + 1] = html_row(rows[i], width, "td", left)
  end
  lines[#lines + 1] = "</tbody></table>"
  if names == nil and left > 0 then
    lines[#lines + 1] = format("<div>… %d more columns</div>", left)
  end
  if count > #rows then
    lines[#lines + 1] = format("<div>… %d more rows</div>", count - #rows)
  end
  return concat(lines, "\n")
end

local MAX_TEXT_CELL = 40

local function text_cell(text)
  text = gsub(text, "%c", " ")
  local size = length_of(text) or #text
  if size > MAX_TEXT_CELL then
    return sub(text, 1, (offset_of(text, MAX_TEXT_CELL) or MAX_TEXT_CELL) - 1) .. "…", MAX_TEXT_CELL
  end
  return text, size
end

local function text_of_rows(names, left, rows, width, count)
  local lines, widths = {}, {}
  local function measure(cells)
    local line = {}
    for j = 1, width do
      local text, size = text_cell(cells[j])
      line[j] = { text, size }
      widths[j] = max(widths[j] or 0, size)
    end
    lines[#lines + 1] = line
  end
  if names ~= nil then
    local shown = {}
    for j = 1, width do
      shown[j] = cell(names[j])
    end
    measure(shown)
  end
  for i = 1, #rows do
    measure(rows[i])
  end
  for i = 1, #lines do
    local parts = {}
    for j = 1, width do
      local one = lines[i][j]
      parts[j] = one[1] .. rep(" ", widths[j] - one[2])
    end
    lines[i] = gsub(concat(parts, "  "), "%s+$", "")
  end
  if left > 0 then
    lines[#lines + 1] = format("… %d more columns", left)
  end
  if count > #rows then
    lines[#lines + 1] = format("… %d more rows", count - #rows)
  end
  return concat(lines, "\n")
end

local function columns_of(options)
  return options ~= nil and check_optional(2, "display", "table", options.columns) or nil
end

local function table_forms(value, options, in_columns)
  local kind, count = rows_of(value)
  if kind == nil then
    return nil
  end
  local names, left, rows, width = grid(value, kind, count, columns_of(options))
  return {
    data = {
      [PLAIN] = in_columns and text_of_rows(names, left, rows, width, count) or core.display(value),
      ["text/html"] = html_of(names, left, rows, width, count),
    },
    metadata = {},
  }
end

-- ## Displays

local rich = {}

-- The forms of a cell's value, or nil where it is text alone.
function rich.of_value(value)
  return own_forms(value) or table_forms(value)
end

local function bundle_of(value, options)
  local bundle
  if type(value) == "table" then
    bundle = given_forms(value) or own_forms(value) or table_forms(value, options, true)
  end
  return bundle or { data = { [PLAIN] = type(value) == "string" and value or core.display(value) }, metadata = {} }
end

local OPTIONS = key_set { "id", "columns", "width", "height", "text", "metadata" }

local function content_of(name, value, options)
  options = check_optional(2, name, "table", options) or {}
  check_keys(name, options, OPTIONS)
  local bundle = bundle_of(value, options)
  if options.text ~= nil then
    bundle.data[PLAIN] = tostring(options.text)
  end
  if options.width ~= nil or options.height ~= nil then
    for mime in next, bundle.data do
      if find(mime, "^image/") then
        bundle.metadata[mime] = { width = options.width, height = options.height }
      end
    end
  end
  for key, metadata in next, check_optional(2, name, "table", options.metadata) or {} do
    bundle.metadata[mime_of(key) or key] = metadata
  end
  return bundle, options
end

local handles = { __name = "display" }
handles.__index = {}

function handles.__tostring(handle)
  return "display " .. handle.id
end

local function update(id, value, options)
  local content = content_of("update_display", value, options)
  content.transient = { display_id = id }
  show_in_kernel("update_display_data", content)
end

function handles.__index.update(handle, value, options)
  update(handle.id, value, options)
  return handle
end

function rich.display(value, options)
  local content, given = content_of("display", value, options)
  local id = given.id
  if id == true then
    id = uuid()
  elseif id ~= nil and id ~= false then
    check(2, "display", "string", id)
  end
  if id then
    content.transient = { display_id = id }
  else
    content.transient = {}
  end
  show_in_kernel("display_data", content)
  if id then
    local handle = setmetatable({ id = id }, handles)
    core.unshown[handle] = true
    core.kinds[handle] = "display_handle"
    return handle
  end
end

function rich.update_display(id, value, options)
  if type(id) == "table" and getmetatable(id) == handles then
    id = id.id
  end
  update(check(1, "update_display", "string", id), value, options)
end

function rich.clear_output(wait)
  show_in_kernel("clear_output", { wait = wait and true or false })
end

return rich
