"""A gRPC client without an instrumentation.

Usage: `grpclib_client.py ADDRESS PROTO_DIRECTORY`. Creates the span of each call by hand, and
injects its context into the metadata. Input and output are those of `client.py`.
"""

import asyncio
import sys

import telemetry
import grpc
from grpclib import GRPCError, Status
from grpclib.client import Channel, StreamStreamMethod, StreamUnaryMethod, UnaryStreamMethod, UnaryUnaryMethod
from opentelemetry import propagate, trace

address, proto_directory = sys.argv[1:]

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


async def line():
    return (await asyncio.to_thread(sys.stdin.readline)).rstrip("\n")


async def call(channel, service, text, timeout):
    """Makes a call in a CLIENT span, and returns its replies and its status."""
    method = KINDS[service](channel, f"/kinds.{service}/Call", protos.Message, protos.Message)
    got, code, details = [], Status.OK, None
    with tracer.start_as_current_span(f"by hand: {service}", kind=trace.SpanKind.CLIENT) as span:
        metadata = {}
        propagate.inject(metadata)
        try:
            async with method.open(metadata=metadata, timeout=timeout) as stream:
                await stream.send_message(protos.Message(text=text), end=True)
                async for message in stream:
                    got.append(message.text)
        except GRPCError as error:
            code, details = error.status, error.message
        except asyncio.TimeoutError:
            code = Status.DEADLINE_EXCEEDED
        except asyncio.CancelledError:
            code = Status.CANCELLED
        span.set_attribute("rpc.grpc.status_code", code.value)
        if code != Status.OK:
            span.set_status(trace.StatusCode.ERROR)
    return {"got": got, "code": code.name, "details": details}


async def main():
    host, port = address.rsplit(":", 1)
    async with Channel(host, int(port)) as channel:
        while told := await line():
            service, text, *deadline = told.split("|")
            calling = asyncio.create_task(call(channel, service, text, float(deadline[0]) if deadline else 30))
            if text.endswith("wait") and not deadline:
                telemetry.answer("waits")
                await line()
                calling.cancel()
            telemetry.answer(await calling)


asyncio.run(main())
