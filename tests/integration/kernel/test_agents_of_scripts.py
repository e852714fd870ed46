"""The global `Agent` over a real kernel and real tool workers: every row that scripts use, with the mock model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from llmspell_protocol.client.sync import Client
from llmspell_protocol.errors import ScriptError
from tests.support.script_kernel import ran, script_kernel


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with script_kernel(tmp_path_factory.mktemp("agents")) as connected:
        yield connected


@pytest.fixture(autouse=True)
def _nothing_stays_behind() -> None:
    """The tests share a kernel, which keeps its tool workers; `client` looks when it has ended."""


ADA = "local ada = Agent.create{name = 'ada', model = 'mock/m', tools = {'calculator'}} "
SUM = """'call calculator {"input": "2 + 3"}'"""

MAKING = {
    "builder": (
        f"return Agent.builder():name('ada'):type('llm'):model('mock/m'):tool('calculator'):build():execute({SUM})"
    ),
    "create": f"return Agent.create{{name = 'ada', model = 'mock/m', tools = {{'calculator'}}}}:execute({SUM})",
    "createAsync": (
        "return Agent.createAsync{name = 'ada', description = 'd', agent_type = 'llm', allowed_tools = {'calculator'}, "
        f"model = {{provider = 'mock', model_id = 'm', temperature = 0.3}}}}:execute{{text = {SUM}}}"
    ),
    "dots": f"return Agent.builder().name('ada').model('mock/m').allowed_tools({{Tool.calculator}}).build().run({SUM})",
}


@pytest.mark.parametrize("form", MAKING)
def test_an_agent_of_each_form_calls_tools(client: Client, form: str) -> None:
    output = ran(client, MAKING[form])
    assert (output["success"], output["text"], output["metadata"]["model"]) == (True, "[mock/m] 5", "mock/m")
    [call] = output["tool_calls"]
    assert (call["name"], call["arguments"], call["success"]) == ("calculator", {"input": "2 + 3"}, True)
    assert call["result"]["result"] == 5
    assert call["duration_ms"] >= 0
    assert "limit" not in output


ROWS: dict[str, tuple[str, Any]] = {
    "register": (
        "return {Agent.register{name = 'bo', model = 'mock/m'}, Agent.get('bo'):complete('x')}",
        ["bo", "[mock/m] x"],
    ),
    "register with a name": (
        "return {Agent.register('bo', {name = 'al', model = 'mock/m'}), Agent.get('al') == nil}",
        ["bo", True],
    ),
    "get": ("return {Agent.get('ada').id == ada.id, Agent.get('nobody') == nil}", [True, True]),
    "list": (
        "local l = Agent.list() return {#l, l[1].name or l[1], l[1].type, l[1].model}",
        [1, "ada", "llm", "mock/m"],
    ),
    "list_instances": ("return Agent.list_instances()", ["ada"]),
    "get_info of a template": (
        "local i = Agent.get_info('llm') return {i.name, i.category, #i.required_parameters, #i.description > 0}",
        ["llm", "agent", 0, True],
    ),
    "get_info of an agent": (
        "local i = Agent.get_info('ada') return {i.name, i.category, i.required_parameters}",
        ["ada", "agent", ["text"]],
    ),
    "discover": (
        "local d = Agent.discover() return {d[1].type, d[2].type, d[3].type}",
        ["basic", "llm", "tool-orchestrator"],
    ),
    "list_templates": ("return Agent.list_templates()", ["basic", "llm", "tool-orchestrator"]),
    "create_from_template": (
        "local a = Agent.create_from_template('bo', 'tool-orchestrator', {model = 'mock/m', tools = {'calculator'}}) "
        f"local b = Agent.create_from_template('basic') return {{a.name, a:complete({SUM}), b:complete('x')}}",
        ["bo", "[mock/m] 5", "x"],
    ),
    "list_capabilities": (
        "local one = Agent.list_capabilities().ada return {one.name, one.id == ada.id, one.capabilities}",
        [
            "ada",
            True,
            {
                "supports_streaming": True,
                "supports_tools": True,
                "supports_context": True,
                "supports_multimodal": False,
            },
        ],
    ),
    "discover_by_capability": (
        "Agent.create{name = 'bo', model = 'mock/m', capabilities = {'poetry'}} "
        "return {Agent.discover_by_capability('supports_tools'), Agent.discover_by_capability('poetry')}",
        [["ada"], ["bo"]],
    ),
    "sequential": (
        "Agent.create{name = 'bo', model = 'mock/b'} "
        "return Agent.create_composite('both', {'ada', 'bo'}, 'sequential'):execute('x').text",
        "[mock/b] [mock/m] x",
    ),
    "parallel": (
        "local bo = Agent.create{name = 'bo', model = 'mock/b'} "
        "return Agent.create_composite('both', {ada, bo}, {strategy = 'parallel'}):execute('x').text",
        "[mock/m] x\n\n[mock/b] x",
    ),
    "vote": (
        "local bo = Agent.create{name = 'bo', model = 'mock/b'} "
        "return Agent.create_composite('c', {ada, ada, bo}, {strategy = 'vote', threshold = 0.5}):complete('x')",
        "[mock/m] x",
    ),
    "vote with a fallback": (
        "local bo = Agent.create{name = 'bo', model = 'mock/b'} local cy = Agent.create{name = 'cy', type = 'basic'} "
        "return Agent.create_composite('c', {ada, bo}, {strategy = 'vote', fallback_agent = cy}):complete('x')",
        "x",
    ),
    "custom": (
        "local function pick(input, names) return Agent.get(names[1]):complete(input .. #names) end "
        "local all = Agent.create_composite('c', {ada}, pick) "
        "local same = Agent.create_composite('d', {ada}, {strategy = 'custom', execute = pick, timeout_ms = 60000}) "
        "return {all:complete('x'), same:complete('y')}",
        ["[mock/m] x1", "[mock/m] y1"],
    ),
    "get_hierarchy": (
        "Agent.create_composite('c', {ada}) local root = Agent.get_hierarchy('c').root "
        "return {root.name, root.type, root.children[1].name, #root.children[1].children}",
        ["c", "composite", "ada", 0],
    ),
    "get_details": (
        "local d = Agent.get_details('ada') return {d.tools, d.max_tool_calls, Agent.get_details('nobody') == nil}",
        [["calculator"], 100, True],
    ),
    "wrap_as_tool": (
        "local named = Agent.wrap_as_tool(ada, {tool_name = 'ask-ada', category = 'utility', security_level = 'safe'}) "
        "local boss = Agent.create{model = 'mock/b', tools = {named}} "
        "return {Agent.wrap_as_tool('ada'), Tool.execute('ada_tool', {text = 'x'}).text, "
        'boss:complete(\'call ask-ada {"text": "y"}\')}',
        ["ada_tool", "[mock/m] x", "[mock/b] [mock/m] y"],
    ),
    "contexts": (
        "local id = Agent.create_context{user_id = 'u', data = {tone = 'kind'}} Agent.update_context(id, 'n', 3) "
        "local child = Agent.create_child_context(id, 'task', 'inherit') Agent.update_context(child, 'tone', 'dry') "
        "local seen = {Agent.get_context_data(child, 'n'), Agent.get_context_data(child, 'tone'), "
        "Agent.get_context_data(id, 'tone'), Agent.get_context_data(id, 'x') == nil} Agent.remove_context(child) "
        "seen[5] = select(2, pcall(Agent.get_context_data, child, 'n')):match('there is no agent context') return seen",
        [3, "dry", "kind", True, "there is no agent context"],
    ),
    "a context with a name": (
        "Agent.create_context('notes', {a = 1}) return ada:execute_with_context({text = 'x'}, 'notes').text",
        "[mock/m] x\n\nContext:\n- a: 1",
    ),
    "shared memory": (
        "Agent.set_shared_memory('global', 'k', {1, 2}) Agent.set_shared_memory({type = 'user', id "
        "= 'u'}, 'k', 'mine') "
        "local seen = {Agent.get_shared_memory('global', 'k'), Agent.get_shared_memory({type = "
        "'user', id = 'u'}, 'k')} "
        "Agent.set_shared_memory('global', 'k', nil) seen[3] = Agent.get_shared_memory('global', "
        "'k') == nil return seen",
        [[1, 2], "mine", True],
    ),
    "agent:get_info": (
        "local i = ada:get_info() return {i.success, i.result.name, i.name, i.model, i.provider, i.type}",
        [True, "ada", "ada", "mock/m", "mock", "llm"],
    ),
    "agent:get_config": (
        "local c = ada:get_config() return {c.tools, c.max_recursion_depth, c.tool_mode, c.history == nil}",
        [["calculator"], 10, "auto", True],
    ),
    "agent:get_metadata": (
        "local m = ada:get_metadata() return {m.name, m.turns, #m.created_at > 0}",
        ["ada", 0, True],
    ),
    "tools of an agent": (
        "local m = ada:get_tool_metadata('calculator') return {ada:discover_tools(), ada:has_tool('Calculator_Tool'), "
        "ada:has_tool('http-requester'), ada:has_tool('nosuch'), m.name, #m.description > 0, #m.version > 0, "
        "ada:get_tool_metadata('http-requester') == nil, ada:get_all_tool_metadata().calculator.name}",
        [["calculator"], True, False, False, "calculator", True, True, True, "calculator"],
    ),
    "invokeTool": (
        "local ok, err = pcall(ada.invokeTool, 'http-requester', {}) "
        "return {ada:invokeTool('calculator', {input = '2 + 3'}).output, "
        "ada.invoke_tool('calculator', {input = '1'}).text, "
        "ok, err}",
        [5, "1", False, "Tool 'http-requester' not found among the tools of agent 'ada'"],
    ),
    "states": (
        "local seen = {ada:get_agent_state()} for _, step in ipairs{'initialize', 'start', "
        "'pause', 'resume', 'stop'} do "
        "ada[step](ada) seen[#seen + 1] = ada:get_state() end ada:terminate() seen[#seen + 1] = "
        "ada.get_state() return seen",
        ["Uninitialized", "Ready", "Running", "Paused", "Running", "Ready", "Terminated"],
    ),
    "a step that is none": (
        "local ok, err = pcall(ada.pause) return {ok, err:match('Invalid state transition: %w+ %-> %w+')}",
        [False, "Invalid state transition: Uninitialized -> Paused"],
    ),
    "a paused agent": (
        "ada:initialize() ada:start() ada:pause() local ok, err = pcall(ada.execute, 'x') "
        "return {ok, err:match('is paused and takes no turns')}",
        [False, "is paused and takes no turns"],
    ),
    "errors": (
        "ada:set_error('broken') local h = ada:get_health() "
        "local seen = {ada:is_healthy(), ada:get_last_error(), h.status, h.message, #h.timestamp > 0} ada:recover() "
        "seen[6] = {ada:is_healthy(), ada:get_recovery_attempts(), ada:get_health().status} return seen",
        [False, "broken", "Unhealthy", "broken", True, [True, 1, "Healthy"]],
    ),
    "get_state_history": (
        "ada:initialize() local h = ada:get_state_history() "
        "return {#h, h[1].from, h[1].to, h[2].to, h[1].elapsed >= 0, #h[1].timestamp > 0}",
        [2, "Uninitialized", "Initializing", "Ready", True, True],
    ),
    "get_state_metrics": (
        "ada:initialize() local m = ada:get_state_metrics() return {m.current_state, "
        "m.total_transitions, m.error_count, "
        "m.recovery_attempts, m.uptime >= 0, #m.last_transition > 0, m.state_time_distribution.Ready >= 0}",
        ["Ready", 2, 0, 0, True, True, True],
    ),
    "get_metrics": (
        f"ada:execute({SUM}) local m = ada:get_metrics() return {{m.agent_id == ada.id, "
        "m.requests_total, m.requests_failed, "
        "m.requests_active, m.tool_invocations, m.memory_bytes > 0}",
        [True, 1, 0, 0, 1, True],
    ),
    "get_performance": (
        "local before = ada:get_performance() ada:execute('x') local p = ada:get_performance() "
        "return {before.total_executions, before.avg_execution_time_ms == nil, before.success_rate == nil, "
        "p.total_executions, p.avg_execution_time_ms >= 0, p.success_rate, p.error_rate}",
        [0, True, True, 1, True, 1.0, 0.0],
    ),
    "saved conversations": (
        "ada:execute('x') ada:save_state() ada:clear_history() local found, length = "
        "ada:load_state(), #ada:get_history() "
        "ada:delete_state() return {found, length, ada:load_state()}",
        [True, 2, False],
    ),
    "destroy": (
        "ada:destroy() return {select(2, pcall(ada.execute, 'x')), select(2, "
        "pcall(ada.get_state)), Agent.get('ada') == nil}",
        ["Agent 'ada' has been destroyed", "Agent 'ada' has been destroyed", True],
    ),
    "memory_enabled": (
        "local bo = Agent.create{name = 'bo', model = 'mock/m', memory_enabled = false} bo:execute('x') "
        "Agent.get('bo'):execute('y') return #bo:get_history()",
        0,
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_a_row_of_the_field_works(client: Client, row: str) -> None:
    code, expected = ROWS[row]
    assert ran(client, ADA + code) == expected


def test_a_stream_tells_of_tools(client: Client) -> None:
    code = f"""
        local seen, text = {{}}, ""
        local whole = ada:invokeStream({SUM}, function(chunk)
          text = text .. chunk.text
          if chunk.type == "tool" then
            local tool = chunk.tool
            seen[#seen + 1] = {{tool.phase, tool.name, tool.arguments.input, tool.success, tool.duration_ms ~= nil}}
          end
        end)
        return {{seen, text, whole.text, #whole.tool_calls, whole.success}}
    """
    seen, text, whole, calls, success = ran(client, ADA + code)
    assert seen == [["started", "calculator", "2 + 3", None, False], ["ended", "calculator", "2 + 3", True, True]]
    assert (text, whole, calls, success) == ("[mock/m] 5", "[mock/m] 5", 1, True)


def test_a_limit_ends_a_turn_without_an_answer(client: Client) -> None:
    code = f"""
        local ada = Agent.create{{name = "ada", model = "mock/m", tools = {{"calculator"}}, max_tool_calls = 0}}
        local r = ada:execute({SUM})
        local ok, err = pcall(ada.complete, {SUM})
        return {{r.success, r.text == nil, r.limit, tostring(r.error), err, #ada:get_history(),
          r.tool_calls[1].success}}
    """
    message = "Resource limit exceeded: the turn of agent 'ada' was ended by its max_tool_calls"
    assert ran(client, code) == [False, True, "max_tool_calls", message, message, 0, False]


def test_calls_that_keep_failing_end_in_an_answer_that_others_can_use(client: Client) -> None:
    # Held to a schema, the mock model writes the smallest JSON that fits: a call as long as calls are allowed.
    code = """
        local tried = 0
        Tool.register{name = "stuck", description = "Fails.", execute = function()
          tried = tried + 1
          error("no", 0)
        end}
        local ada = Agent.create{name = "ada", model = "mock/m", tools = {"stuck"}, tool_mode = "schema"}
        local r = ada:execute("go")
        local seen = {r.success, r.limit, tried, #r.tool_calls, r.text ~= nil and r.text ~= "", #ada:get_history()}
        local bo = Agent.create{name = "bo", model = "mock/b"}
        seen[7] = Agent.create_composite("both", {ada, bo}):complete("go") == "[mock/b] " .. r.text
        seen[8] = Tool.execute(Agent.wrap_as_tool(ada), {text = "go"}).success
        return seen
    """
    assert ran(client, code) == [True, "failed_calls", 3, 3, True, 8, True, True]


def test_a_models_calls_reach_the_scripts_own_tools(client: Client) -> None:
    code = """
        local asked = {}
        Tool.register{
          name = "weather", description = "The weather of a town.", parameters = "town",
          execute = function(p) asked[#asked + 1] = p.town return {sky = "clear over " .. p.town} end,
        }
        local agent = Agent.create{model = "mock/m", tools = {"weather"}}
        local r = agent:execute('call weather {"town": "Oslo"}\\ncall weather {"town": "Bergen"}')
        return {#asked, r.tool_calls[1].result.sky, r.tool_calls[2].result.sky}
    """
    assert ran(client, code) == [2, "clear over Oslo", "clear over Bergen"]


def test_a_conversation_that_is_too_long_loses_its_beginning(client: Client) -> None:
    code = """
        local agent = Agent.builder():model("mock/m"):max_conversation_length(2):build()
        agent:execute("one")
        local r = agent:execute("two")
        return {r.dropped.messages, r.dropped.summarized, agent:get_history()[1].content}
    """
    assert ran(client, code) == [2, False, "two"]


MISTAKES = {
    "Agent.create{model = 'mock/m', tools = {'calculatr'}}": "test.lua:1: Tool 'calculatr' not found",
    "Agent.create{model = 'mock/m', tool = 'calculator'}": "no option 'tool'; did you mean 'tools'?",
    "Agent.get_info('nobody')": "Agent 'nobody' not found",
    "Agent.create_from_template('nosuch')": "Agent template 'nosuch' not found",
    "Agent.create_from_template('x', 'tool-orchestrator', {model = 'mock/m'})": "needs a list of tools",
    "Agent.create_composite('c', {'nobody'})": "Agent 'nobody' not found",
    "Agent.create_composite('c', {'ada'}, {strategie = 'vote'})": "did you mean 'strategy'?",
    "Agent.create_composite('c', {'ada'}, 'custom')": "a function is what strategy 'custom' needs",
    "Agent.wrap_as_tool('nobody')": "Agent 'nobody' not found",
    "Agent.create_context{security = {level = 'high'}}": "no option 'security'",
    "Agent.create_child_context('nosuch', 's', 'inherit')": "there is no agent context 'nosuch'",
    "Agent.set_shared_memory('galaxy', 'k', 1)": "scope.type: must be 'global', 'session', 'workflow', 'agent'",
    "Agent.create{model = 'mock/m', api_key = 'secret'}": "api_key of an agent can't be set from a script",
}


@pytest.mark.parametrize("code", MISTAKES)
def test_a_mistake_is_told(client: Client, code: str) -> None:
    with pytest.raises(ScriptError) as caught:
        ran(client, ADA + code)
    assert MISTAKES[code] in caught.value.message
    assert "secret" not in caught.value.message


def test_what_is_noted_about_an_agent_is_found_where_it_is_kept(client: Client) -> None:
    code = """
        local agent = Agent.create{name = 'noted', type = 'basic'}
        agent:set_state{mood = 'good', seen = {1, 2}}
        agent:configure_alerts{name = 'slow'}
        agent:logEvent('handover', 'to another')
        local same = Agent.get('noted')
        return {State.agent_get('noted', 'mood'), #State.agent_get('noted', 'seen'), same:get_alerts()[1].name,
                same:get_bridge_metrics().requests_total}
    """
    assert ran(client, code) == ["good", 2, "slow", 0]


def test_a_model_that_does_not_see_is_shown_no_picture(client: Client) -> None:
    code = """
        local agent = Agent.create{model = 'mock/m'}
        local media = {{type = 'image', base64 = 'iVBORw0KGgo='}}
        return tostring(select(2, pcall(agent.execute, agent, {text = 'what', media = media})))
    """
    assert "mock can't do 'images'" in ran(client, code)
