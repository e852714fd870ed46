-- Notebook: what a cell asks of the frontend that shows it. Gets `core`; returns the functions.

local core = ...
local check, check_optional, error = core.check, core.check_optional, error
local payload, write = core.bind("payload"), core.host.write

local methods = {}

local HELP = [[
Tab completes names, fields, methods, keys of options, modules and files.
Shift-Tab, or a cell with `LocalLLM.chat?`, shows how a function is called and what it does; `name??` its source.
`_`, `__`, `Out[n]` and `In[n]` are earlier results and cells. `Notebook.page(text)` shows a long text beside the cell.
`input("prompt")` and `getpass("prompt")` ask for a line.
Interrupt (I, I) ends a cell and keeps the variables; restart (0, 0) begins anew.

Models: LocalLLM.list(), LocalLLM.pull("smollm2:135m"), LocalLLM.chat{prompt = "…"}
Agents and tools: Agent.create{…}, Tool.list(), Workflow.sequential{…}

The notebook's kernel in a terminal: llmspell kernel status, llmspell --connect NAME model ps
Everything that scripts can call: docs/reference/lua.md; notebooks: docs/guide/jupyter.md
]]

function methods.page(text)
  check(1, "Notebook.page", "string", text)
  if not payload("page", { data = { ["text/plain"] = text }, start = 0 }) then
    write("stdout", text .. "\n")
  end
end

function methods.set_next_input(text, replace)
  check(1, "Notebook.set_next_input", "string", text)
  check_optional(2, "Notebook.set_next_input", "boolean", replace)
  if not payload("set_next_input", { text = text, replace = replace or false }) then
    error("Component error: Notebook.set_next_input needs a notebook: this runs without one", 0)
  end
end

function methods.help()
  write("stdout", HELP)
end

return methods
