"""Prints what a caller gets from calls of an SDK about one execution."""

import json
import sys

import asteroid_odyssey as sdk
from asteroid_odyssey.api.agent_profile_pools_api import AgentProfilePoolsApi
from asteroid_odyssey.api.execution_api import ExecutionApi
from asteroid_odyssey.models.agents_execution_user_messages_add_text_body import (
    AgentsExecutionUserMessagesAddTextBody as Message,
)

host, id, calls = sys.argv[1:]
with sdk.ApiClient(sdk.Configuration(host=host)) as client:
    api = ExecutionApi(client)
    for name in calls.split():
        call = {
            "get": lambda: api.execution_get(id).status.value,
            "list": lambda: api.executions_list().total,
            "activities": lambda: len(api.execution_activities_get(id)),
            "delete": lambda: api.execution_delete(id),
            "message": lambda: api.execution_user_messages_add(id, Message(message="x")),
            "pools": lambda: AgentProfilePoolsApi(client).agent_profile_pools_list(),
            "rerun": lambda: api.execution_rerun(id),
        }[name]
        try:
            result = call()
        except sdk.ApiException as error:
            problem = json.loads(error.body)
            code = problem.get("type", "upstream").rsplit(":", 1)[-1]
            result = f"{error.status} {type(error).__name__} {code}: {problem['message']}"
        print(name, result)
