"""Every operation of an execution's life with the SDK of the specification's era."""

import sys

from asteroid_odyssey.api.agents_api import AgentsApi
from asteroid_odyssey.models.agents_agent_execute_agent_request import AgentsAgentExecuteAgentRequest as Request
from asteroid_odyssey.models.agents_execution_status import AgentsExecutionStatus as Status

from table import Message, Tenant, as_each, both, of, row, shown, status

host, agent, *others = sys.argv[1:]


def script(tenant):
    api, kept, steered = tenant.api, tenant.kept, tenant.steered
    for answer in tenant.started:
        row("start", f"{answer.status_code} {shown(answer.data)}")
    both("get", api.execution_get_with_http_info, kept)
    both("activities", api.execution_activities_get_with_http_info, kept)
    both("activities, one", api.execution_activities_get_with_http_info, kept, order="asc", limit=1)
    both("status, paused", api.execution_status_update_with_http_info, steered, status("paused"))
    both("get", api.execution_get_with_http_info, steered)
    list = api.executions_list_with_http_info
    row("list", of(list))
    row("list, paused", of(list, status=[Status.PAUSED, Status.FAILED]))
    row("list, running", of(list, status=[Status.RUNNING]))
    row("list, page 2", of(list, page=2, page_size=1, sort_field="created_at", sort_direction="desc"))
    row("list, page 3", of(list, page=3, page_size=1))
    row("list, agent", of(list, agent_id=agent))
    row("list, other agent", of(list, agent_id=others[0]))
    row("list, pair", of(list, metadata_key="ticket", metadata_value="T-1"))
    row("list, own tag", of(list, metadata_key="tenant", metadata_value=tenant.name))
    row("list, foreign tag", of(list, metadata_key="tenant", metadata_value="x"))
    both("status, running", api.execution_status_update_with_http_info, steered, status("running"))
    both("message", api.execution_user_messages_add_with_http_info, steered, Message(message="Use the second card"))
    both("activities, last", api.execution_activities_get_with_http_info, steered, order="desc", limit=1)
    both("status, cancelled", api.execution_status_update_with_http_info, steered, status("cancelled"))
    both("get", api.execution_get_with_http_info, steered)
    both("get", api.execution_get_with_http_info, kept)


tenants = [Tenant(name, host) for name in ("billing", "sales")]
for tenant in tenants:
    execute = AgentsApi(tenant.client).agent_execute_post_with_http_info
    tenant.start(execute, agent, lambda ticket: Request(metadata={"ticket": ticket, "kind": "invoice"}))
as_each(tenants, others, script)
