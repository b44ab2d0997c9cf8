"""Calls of an SDK as each of two tenants, and a table of their results."""

import json
import sys

import asteroid_odyssey as sdk
from asteroid_odyssey.api.execution_api import ExecutionApi
from asteroid_odyssey.models.agents_execution_update_execution_status_request import (
    AgentsExecutionUpdateExecutionStatusRequest as StatusRequest,
)
from asteroid_odyssey.models.agents_execution_user_messages_add_text_body import (
    AgentsExecutionUserMessagesAddTextBody as Message,
)

# Headers that differ between two equal answers.
VOLATILE = {"date", "x-request-id"}


class Tenant:
    """A client of one tenant, with two executions: one that is left alone, and one that is steered."""

    def __init__(self, name, host):
        self.name = name
        self.client = sdk.ApiClient(sdk.Configuration(host=host))
        self.client.set_default_header("X-Tenant-Id", name)
        self.api = ExecutionApi(self.client)

    def start(self, execute, agent, request):
        self.started = [execute(agent, request(ticket)) for ticket in ("T-1", "T=2 & 3")]
        self.kept, self.steered = (answer.data.execution_id for answer in self.started)
        self.names = {self.kept: "kept", self.steered: "steered"}


def shown(value):
    """Returns the type of a typed result, and the members by which tenants recognise it."""
    kind = type(value).__name__
    if kind == "ExecutionsList200Response":
        return f"{kind} {listed(value.items)} of {value.total}"
    if kind == "AgentsExecutionListItem":
        return f"{kind} {value.status.value}{item(value)}"
    if isinstance(value, list):
        return f"{type(value[0]).__name__}s " + " ".join(of.payload.actual_instance.activity_type for of in value)
    status = getattr(value, "status", None)
    return f"{kind} {getattr(status, 'value', status)}" if status else f"{kind} {value}" if kind == "str" else kind


def item(value):
    """Returns what is wrong with an execution of the present tenant."""
    wrong = "" if value.metadata["tenant"] == present.name else f" of {value.metadata['tenant']}"
    return wrong if value.trigger_context is None else f"{wrong} with {value.trigger_context}"


def listed(items):
    return " ".join(sorted(present.names.get(of.id, of.id) + item(of) for of in items)) or "nothing"


def refusal(error):
    """Returns an SDK's exception for an answer of the gateway without what only this answer has, and its headers."""
    problem = json.loads(error.body)
    assert problem.pop("instance") == "urn:request:" + error.headers["x-request-id"], error
    headers = {name.lower(): value for name, value in error.headers.items() if name.lower() not in VOLATILE}
    return f"{error.status} {type(error).__name__} {json.dumps(problem)}", headers


def brief(error):
    problem = json.loads(error.body)
    return f"{error.status} {type(error).__name__} {problem['type'].rsplit(':', 1)[1]}"


def of(call, *arguments, **named):
    try:
        answer = call(*arguments, **named)
    except sdk.ApiException as error:
        return brief(error)
    return f"{answer.status_code} {shown(answer.data)}"


def row(name, text):
    print(f"  {name:<24}{text}")


refused = set()


def both(name, call, own, *arguments, **named):
    """Prints a call's result for each foreign execution, if that is not the usual 404, and for an execution of the tenant."""
    for id in foreign:
        try:
            row(f"{name} FOREIGN", shown(call(id, *arguments, **named).data))
        except sdk.ApiException as error:
            answer, headers = refusal(error)
            refused.add((answer, json.dumps(headers)))
    row(name, of(call, own, *arguments, **named))


def status(to):
    return StatusRequest(status=to)


def as_each(tenants, others, script):
    """Runs a script as each tenant, to whom the executions of the other one and `others` are foreign."""
    global present, foreign
    for present, other in (tenants, tenants[::-1]):
        foreign = [other.kept, *others]
        print(present.name)
        script(present)
    print("foreign")
    for answer, headers in refused:
        row("every call", answer)
