"""A gRPC server on grpcio whose messages are plain bytes."""

import concurrent.futures
import threading
import time

import grpc

OPTIONS = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", 64 << 20)]


class Service(grpc.GenericRpcHandler):
    """The methods of /interop.Echo/; `cancelled` is set when a call that waits is given up."""

    def __init__(self):
        self.cancelled = threading.Event()
        self.seen = []

    def service(self, details):
        kind, _, name = details.method.rpartition("/")
        make = {
            "Unary": grpc.unary_unary_rpc_method_handler,
            "Fail": grpc.unary_unary_rpc_method_handler,
            "Wait": grpc.unary_unary_rpc_method_handler,
            "Count": grpc.unary_stream_rpc_method_handler,
            "Endless": grpc.unary_stream_rpc_method_handler,
            "Break": grpc.unary_stream_rpc_method_handler,
            "Sum": grpc.stream_unary_rpc_method_handler,
            "Chat": grpc.stream_stream_rpc_method_handler,
        }.get(name)
        return make(getattr(self, name.lower())) if kind == "/interop.Echo" and make else None

    def unary(self, request, context):
        self.seen.append(dict(context.invocation_metadata()))
        context.send_initial_metadata([("x-initial", "first")])
        context.set_trailing_metadata([("x-trailing", "last"), ("x-data-bin", b"\0\xff")])
        return request

    def fail(self, request, context):
        context.set_trailing_metadata([("x-trailing", "last")])
        context.abort(grpc.StatusCode.NOT_FOUND, "größe: 100 %")

    def wait(self, request, context):
        context.add_callback(self.cancelled.set)
        while context.is_active():
            time.sleep(0.02)
        return b""

    def count(self, request, context):
        for number in range(int(request)):
            yield str(number).encode()

    def endless(self, request, context):
        context.add_callback(self.cancelled.set)
        while context.is_active():
            yield bytes(1_000)

    def break_(self, request, context):
        yield b"one"
        yield b"two"
        context.abort(grpc.StatusCode.DATA_LOSS, "gone")

    def sum(self, requests, context):
        return str(sum(len(request) for request in requests)).encode()

    def chat(self, requests, context):
        for request in requests:
            yield b"re: " + request


setattr(Service, "break", Service.break_)


class Server:
    """The server, encrypted with a certificate if there is one."""

    def __init__(self, certificate=None):
        self.service = Service()
        self._server = grpc.server(concurrent.futures.ThreadPoolExecutor(32), options=OPTIONS, handlers=[self.service])
        if certificate is None:
            port = self._server.add_insecure_port("127.0.0.1:0")
        else:
            pair = (certificate.key.read_bytes(), certificate.chain.read_bytes())
            port = self._server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
        self.address = ("127.0.0.1", port)
        self._server.start()

    def close(self):
        self._server.stop(0).wait()


def channel(address, ca=None):
    """A client's channel, encrypted if there is a CA to trust."""
    target = f"127.0.0.1:{address[1]}"
    if ca is None:
        return grpc.insecure_channel(target, OPTIONS)
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(ca.read_bytes()), OPTIONS)
