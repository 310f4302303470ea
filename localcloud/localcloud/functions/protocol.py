"""Plain objects in place of the protobuf messages between the real host and its workers (FunctionRpc.proto).

The runtime library constructs some of them while it indexes an app, and others when it runs a function whose request
came over HTTP. It looks only at their attributes.
"""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

_MESSAGE_NAMES = (
    "WorkerInitResponse",
    "FunctionMetadataResponse",
    "RpcFunctionMetadata",
    "WorkerMetadata",
    "RpcException",
    "RpcRetryOptions",
    "InvocationResponse",
    "ParameterBinding",
    "TypedData",
)


def _message_class(name: str, **enumeration: int) -> type:
    return type(name, (SimpleNamespace,), dict(enumeration))


# The numbers are those of the enumerations in FunctionRpc.proto.
PROTOCOL = SimpleNamespace(
    StatusResult=_message_class("StatusResult", Failure=0, Success=1, Cancelled=2),
    BindingInfo=_message_class(
        "BindingInfo", **{"in": 0, "out": 1, "inout": 2}, undefined=0, string=1, binary=2, stream=3
    ),
    **{name: _message_class(name) for name in _MESSAGE_NAMES},
)


class OneOf(SimpleNamespace):
    """A message with one field set."""

    def __init__(self, field: str, value: object, **others: object) -> None:
        super().__init__(**others, **{field: value})
        self._field = field

    def WhichOneof(self, _: str) -> str:  # noqa: N802 - protobuf's name
        return self._field


def http_invocation(
    invocation_id: str, function_id: str, parameter: str, route: Mapping[str, str], trace_parent: str
) -> SimpleNamespace:
    """The message that starts a function whose request comes over HTTP. It carries the route's parameters only."""
    body = OneOf("bytes", b"")
    http = SimpleNamespace(method="", url="", headers={}, params=dict(route), query={}, body=body)
    invocation = SimpleNamespace(
        invocation_id=invocation_id,
        function_id=function_id,
        input_data=[OneOf("data", OneOf("http", http), name=parameter)],
        trigger_metadata={},
        trace_context=SimpleNamespace(trace_parent=trace_parent, trace_state="", attributes={}),
        retry_context=SimpleNamespace(retry_count=0, max_retry_count=0, exception=None),
    )
    return SimpleNamespace(request=SimpleNamespace(invocation_request=invocation))


def output(binding: Any) -> tuple[str, str, Any]:
    """Name, kind and value of an output."""
    if binding.data is None:
        return binding.name, "", None
    [(kind, value)] = vars(binding.data).items()
    return binding.name, kind, value
