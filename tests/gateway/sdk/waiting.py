"""The wait helper of an older SDK: it starts an execution, and asks v1 of the API for its status and its result."""

import sys
import time

import asteroid_odyssey as sdk
from asteroid_odyssey.api.agents_api import AgentsApi
from asteroid_odyssey.models.agents_agent_execute_agent_request import AgentsAgentExecuteAgentRequest as Request

host, agent = sys.argv[1:]


def client(tenant):
    client = sdk.ApiClient(sdk.Configuration(host=host))
    client.set_default_header("X-Tenant-Id", tenant)
    return client


def v1(client, id, what):
    headers = {**client.default_headers, "Accept": "application/json"}
    response = client.rest_client.request("GET", f"{host}/api/v1/execution/{id}/{what}", headers=headers)
    return response.status, response.read().decode()


billing, sales = client("billing"), client("sales")
id = AgentsApi(billing).agent_execute_post(agent, Request()).execution_id
print(*v1(sales, id, "status"), sep="\n")
print(*v1(sales, id, "result"), sep="\n")
until = time.monotonic() + 20
while '"status":"completed"' not in v1(billing, id, "status")[1] and time.monotonic() < until:
    time.sleep(0.1)
print(*v1(billing, id, "status"), sep="\n")
print(*v1(billing, id, "result"), sep="\n")
