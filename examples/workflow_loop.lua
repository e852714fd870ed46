-- Rounds: a state that each round changes, a condition that ends them, and what every round gave.
--   llmspell run examples/workflow_loop.lua
local search = Workflow.loop {
  name = "root of 2",
  iterator = { while_condition = "state.high - state.low > 0.001", max_iterations = 50 },
  initial_state = { low = 1, high = 2 },
  body = {
    {
      name = "square",
      tool = "calculator",
      input = { input = "((low + high) / 2) ^ 2", variables = { low = "$state.low", high = "$state.high" } },
    },
  },
  state_update = [[
    local middle = (state.low + state.high) / 2
    if body_output > 2 then state.high = middle else state.low = middle end
  ]],
}

local result = search:execute()
print(("%.2f after %d rounds (%s)"):format(result.final_state.low, result.iterations, result.break_reason))
print(("the last square: %.3f of %d"):format(result.output, #result.iteration_outputs))
