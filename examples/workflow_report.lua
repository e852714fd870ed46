-- Steps one after the other: a tool counts, a function decides, an agent writes; each names what came before.
--   llmspell run examples/workflow_report.lua -- smollm2:135m@candle
Agent.create { name = "writer", model = ARGS[1], temperature = 0, max_tokens = 40 }

local report = Workflow.sequential {
  name = "report",
  steps = {
    {
      name = "mean",
      tool = "calculator",
      input = { input = "(a + b) / 2", variables = { a = 19, b = "{{input.high}}" } },
    },
    {
      name = "judge",
      type = "custom",
      execute = function(ctx)
        return { output = ctx.steps.mean.output > 20 and "warm" or "cool" }
      end,
    },
    { name = "text", agent = "writer", input = "One sentence about a {{judge.output}} day of {{mean.output}} degrees." },
  },
  on_step_complete = function(name, result)
    io.stderr:write(("%s: %d ms\n"):format(name, result.duration_ms))
  end,
}

local result = report:execute({ high = 24 })
if not result.success then error(result.error) end
print(result.outputs.judge, result.outputs.mean)
print(result.output)
