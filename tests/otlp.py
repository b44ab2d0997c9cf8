"""Decodes OTLP with OpenTelemetry's own classes. Each line of standard input is an ExportTraceServiceRequest in hexadecimal.
Prints all spans as one JSON list. Fields that these classes do not know, or that have another type there, are an error."""

import json
import sys

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status


def attributes(pairs):
    values = {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
    assert len(values) == len(pairs), "an attribute is repeated"
    return values


spans = []
for line in sys.stdin:
    body = bytes.fromhex(line)
    request = ExportTraceServiceRequest.FromString(body)
    request.DiscardUnknownFields()
    assert request.ByteSize() == len(body), "there are fields that OTLP does not have"
    for of_resource in request.resource_spans:
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                assert (len(span.trace_id), len(span.span_id)) == (16, 8) and len(span.parent_span_id) in (0, 8)
                spans.append(
                    {
                        "resource": attributes(of_resource.resource.attributes),
                        "scope": of_scope.scope.name,
                        "schema": of_scope.schema_url,
                        "trace": span.trace_id.hex(),
                        "id": span.span_id.hex(),
                        "parent": span.parent_span_id.hex(),
                        "state": span.trace_state,
                        "flags": span.flags,
                        "name": span.name,
                        "kind": Span.SpanKind.Name(span.kind),
                        "start": span.start_time_unix_nano,
                        "end": span.end_time_unix_nano,
                        "status": Status.StatusCode.Name(span.status.code),
                        "message": span.status.message,
                        "attributes": attributes(span.attributes),
                    }
                )
json.dump(spans, sys.stdout)
