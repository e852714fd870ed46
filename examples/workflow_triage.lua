-- Branches by condition, built step by step; what was done is undone where a later step fails.
--   llmspell run examples/workflow_triage.lua -- "the page is slow"
local text = ARGS[1]

local function note(words)
  return function()
    return words
  end
end

local triage = Workflow.builder()
  :name("triage")
  :conditional()
  :add_step({ name = "words", tool = "text-manipulator", input = { operation = "uppercase", text = "{{text}}" } })
  :condition({ type = "step_output_contains", step_name = "words", substring = "SLOW" })
  :add_then_step({ name = "queue", type = "custom", execute = note("queued as performance") })
  :add_else_step({ name = "queue", type = "custom", execute = note("queued as question") })
  :build()
local result = triage:execute({ text = text })
print(result.branch_taken, result.output)

local order = Workflow.sequential {
  name = "order",
  steps = {
    {
      name = "reserve",
      type = "custom",
      execute = note("seat 12"),
      compensate = function(ctx)
        print("gave back " .. ctx.output)
      end,
    },
    { name = "pay", tool = "calculator", input = { input = "1 / 0" } },
  },
}
local failed = order:execute()
print(failed.failed_step, failed.error)
