"""Checks of schemathesis for the gateway's own answers, and the failures of its other checks that are none."""

import itertools
import json
import re

import schemathesis

PREFIX = "urn:asteroid-gateway:error:"
NUMBERS = itertools.count()


def own_error(response):
    """Returns the body of an answer if it is an error of the gateway."""
    return json.loads(response.content) if "proxy-status" in response.headers else None


def definition(case):
    return case.operation.definition.raw


@schemathesis.check
def answers_are_those_of_the_operation(ctx, response, case):
    """`default` stands for errors of the upstream, so that every other answer must be listed under its status."""
    # Another method than that of the document is not this operation.
    if case.method.upper() != case.operation.method.upper():
        return
    status, error = str(response.status_code), own_error(response)
    if error is not None:
        code = error["type"].removeprefix(PREFIX)
        listed = definition(case)["x-asteroid-errors"].get(status, [])
        assert code in listed, f"{status} {code} is not among x-asteroid-errors: {listed}"
    if error is not None or response.status_code < 400:
        assert status in definition(case)["responses"], f"{status} is not among responses"


@schemathesis.check
def answers_carry_a_request_id_and_the_limits(ctx, response, case):
    for header in "x-request-id", "ratelimit-policy":
        assert header in response.headers, f"no {header}"
    error = own_error(response)
    if error is not None:
        assert error["instance"] == f"urn:request:{response.headers['x-request-id'][0]}"
        assert error["code"] == error["status"] == response.status_code


@schemathesis.check
def limits_are_those_of_the_operation(ctx, response, case):
    """A request is counted by limits of its operation alone: by the first of them if it is refused early."""
    error = own_error(response)
    # With an id that is none, it is not yet known to be a request for this operation.
    if case.method.upper() != case.operation.method.upper() or error and error["type"] == PREFIX + "id":
        return
    counted = [item.split('"')[1] for value in response.headers.get("ratelimit", []) for item in value.split(", ")]
    listed = definition(case)["x-asteroid-limits"]
    assert set(counted) <= set(listed), f"{counted} counted it, and x-asteroid-limits are {listed}"


def write_blanks_as_percent_20(request):
    """The gateway refuses a plus in a query, which readers take for a plus or for a blank. The HTTP library writes blanks so."""
    path, mark, query = request.url.partition("?")
    request.url = path + mark + query.replace("+", "%20")
    return request


def make_idempotency_key_unique(case):
    """The tool often repeats a key with another body. That gets 422, which would hide that an invalid body is taken."""
    key = (case.headers or {}).get("Idempotency-Key")
    pattern = case.operation.schema.raw_schema["components"]["parameters"]["Idempotency-Key"]["schema"]["pattern"]
    # A longer one would become too long, and is hardly repeated.
    if isinstance(key, str) and len(key) < 200 and re.match(pattern, key):
        number = f"{next(NUMBERS)}-"
        case.headers["Idempotency-Key"] = f'"{number}{key[1:]}' if key.startswith('"') else number + key


@schemathesis.hook
def before_call(context, case, kwargs):
    # The library calls it with each request that is ready to be sent.
    kwargs["auth"] = write_blanks_as_percent_20
    # Sequences of requests keep theirs, so that some starts are replayed and others refused.
    if case.meta is not None and case.meta.phase.name.name != "STATEFUL":
        make_idempotency_key_unique(case)


def at(value, pointer):
    for name in pointer.split("/")[1:]:
        name = name.replace("~1", "/").replace("~0", "~")
        value = value[int(name)] if isinstance(value, list) else value[name]
    return value


def is_integer_with_fraction(body, fault):
    """JSON Schema takes 3.0 for an integer. The gateway does not, as not every reader does."""
    return fault["detail"].startswith("must be an integer") and isinstance(at(body, fault["pointer"]), float)


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Returns whether a failure is one."""
    if "negative_data_rejection" in failure.checks and case.media_type == "multipart/form-data":
        # A file has any bytes, also those of a number or an object in its place.
        return list(case.body) != ["files"]
    if "positive_data_acceptance" not in failure.checks:
        return True
    error = own_error(response)
    if error is None:
        # Asteroid alone knows which statuses there are, and whether an execution has ended.
        return False
    code = error["type"].removeprefix(PREFIX)
    if code == "idempotency-mismatch":
        # A key is valid, and was used with another body before.
        return False
    if code == "body":
        return not all(is_integer_with_fraction(case.body, fault) for fault in error["errors"])
    if code == "query":
        # OpenAPI cannot say that one parameter needs another.
        return "must be used together" not in error["detail"]
    return True
