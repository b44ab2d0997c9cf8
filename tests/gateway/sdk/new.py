"""Every operation of an execution's life with the newest SDK."""

import sys

from asteroid_odyssey.api.workflows_api import WorkflowsApi
from asteroid_odyssey.models.agents_execution_phase import AgentsExecutionPhase as Phase
from asteroid_odyssey.models.agents_execution_status import AgentsExecutionStatus as Status
from asteroid_odyssey.models.workflows_workflow_execute_request import WorkflowsWorkflowExecuteRequest as Request

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
    both("status, running", api.execution_status_update_with_http_info, steered, status("running"))
    both("pause", api.execution_pause_with_http_info, steered)
    both("sync, paused", api.execution_sync_get_with_http_info, steered)
    list = api.executions_list_with_http_info
    row("list", of(list))
    row("list, paused", of(list, status=[Status.PAUSED, Status.FAILED]))
    row("list, active", of(list, phase=[Phase.ACTIVE]))
    row("list, page 2", of(list, page=2, page_size=1, sort="created_at:desc"))
    row("list, page 3", of(list, page=3, page_size=1))
    row("list, workflow", of(list, workflow_id=agent))
    row("list, other workflow", of(list, workflow_id=others[0]))
    row("list, pair", of(list, metadata_key="ticket", metadata_value="T=2 & 3"))
    row("list, metadata", of(list, metadata=["ticket=T=2 & 3"]))
    row("list, two of metadata", of(list, metadata=["kind=invoice", "ticket=T-1"]))
    row("list, own tag", of(list, metadata=[f"tenant={tenant.name}"]))
    row("list, foreign tag", of(list, metadata=["tenant=x"]))
    both("resume", api.execution_resume_with_http_info, steered)
    both("sync, a second", api.execution_sync_get_with_http_info, steered, timeout_seconds=1)
    both("message", api.execution_user_messages_add_with_http_info, steered, Message(message="Use the second card"))
    both("activities, last", api.execution_activities_get_with_http_info, steered, order="desc", limit=1)
    both("cancel", api.execution_cancel_with_http_info, steered)
    both("sync, cancelled", api.execution_sync_get_with_http_info, steered)
    both("get", api.execution_get_with_http_info, steered)
    both("delete", api.execution_delete_with_http_info, steered)
    both("get, deleted", api.execution_get_with_http_info, steered)
    row("list", of(list))
    both("get", api.execution_get_with_http_info, kept)


tenants = [Tenant(name, host) for name in ("billing", "sales")]
for tenant in tenants:
    execute = WorkflowsApi(tenant.client).workflow_execute_post_with_http_info
    tenant.start(execute, agent, lambda ticket: Request(metadata={"ticket": ticket, "kind": "invoice"}))
as_each(tenants, others, script)
