"""A gRPC client without an instrumentation.

Usage: `grpclib_client.py PROTO_DIRECTORY client ADDRESS`. Creates the span of each call by hand,
and injects its context into the metadata. Input and output are those of `client.py`.
"""

import asyncio
import sys

import telemetry
import grpc
from grpclib import GRPCError, Status
from grpclib.client import Channel, StreamStreamMethod, StreamUnaryMethod, UnaryStreamMethod, UnaryUnaryMethod
from grpclib.exceptions import ProtocolError, StreamTerminatedError
from opentelemetry import propagate, trace

proto_directory, _, address = sys.argv[1:]

# Compiles the messages at run time, with grpcio: messages do not depend on the gRPC library.
sys.path.insert(0, proto_directory)
protos = grpc.protos("kinds.proto")
tracer = trace.get_tracer("by hand")

KINDS = {
    "Unary": UnaryUnaryMethod,
    "ServerStream": UnaryStreamMethod,
    "ClientStream": StreamUnaryMethod,
    "Bidi": StreamStreamMethod,
}
calls = set()


async def call(channel, service, text, seconds, option):
    """Makes a call in a CLIENT span, and prints its end."""
    name = "Unknown" if option == "unknown" else "Call"
    method = KINDS[service](channel, f"/kinds.{service}/{name}", protos.Message, protos.Message)
    message = protos.Message(text="x" * (5 << 20) if text == "large-request" else text)
    got, code = [], Status.OK
    with tracer.start_as_current_span(f"by hand: {service}", kind=trace.SpanKind.CLIENT) as span:
        metadata = {}
        propagate.inject(metadata)
        try:
            async with method.open(metadata=metadata, timeout=float(seconds) if seconds else 60) as stream:
                await stream.send_message(message, end=True)
                async for reply in stream:
                    got.append(reply.text)
        except GRPCError as error:
            code = error.status
        except asyncio.TimeoutError:
            code = Status.DEADLINE_EXCEEDED
        except asyncio.CancelledError:
            code = Status.CANCELLED
        except (ProtocolError, StreamTerminatedError):
            code = Status.UNAVAILABLE
        span.set_attribute("rpc.grpc.status_code", code.value)
        if code != Status.OK:
            span.set_status(trace.StatusCode.ERROR)
    telemetry.answer(f"ended {service} {code.name} {len(got)}")


async def main():
    host, port = address.rsplit(":", 1)
    async with Channel(host, int(port)) as channel:
        while told := (await asyncio.to_thread(sys.stdin.readline)).rstrip("\n"):
            match told:
                case "cancel":
                    for calling in list(calls):
                        calling.cancel()
                case "flush":
                    telemetry.flush()
                case line:
                    calling = asyncio.create_task(call(channel, *line.split("|")))
                    calls.add(calling)
                    calling.add_done_callback(calls.discard)


asyncio.run(main())
