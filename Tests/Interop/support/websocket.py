"""WebSockets with the websockets library: over HTTP/1.1 as it is, over HTTP/2 by extended CONNECT (RFC 8441)."""

import collections
import socket
import threading

import websockets.client
import websockets.exceptions
import websockets.frames
import websockets.protocol
import websockets.server
import websockets.sync.client
import websockets.sync.server
import websockets.uri

from support import http2, http2_origin
from support.net import PATIENCE

Opcode = websockets.frames.Opcode


class OriginH1:
    """An echo over HTTP/1.1; "bye" makes it close, "die" leave, and /no refuse."""

    def __init__(self):
        self.closed = threading.Event()
        self._server = websockets.sync.server.serve(
            self._serve, "127.0.0.1", 0, process_request=self._process, subprotocols=["chat"], compression=None, max_size=None
        )
        self.address = self._server.socket.getsockname()
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def _process(self, connection, request):
        return connection.respond(403, "no\n") if request.path == "/no" else None

    def _serve(self, connection):
        for message in connection:
            if message == "bye":
                connection.close(1001, "going")
            elif message == "die":
                connection.socket.shutdown(socket.SHUT_RDWR)
                return
            else:
                connection.send(message)
        self.closed.set()

    def close(self):
        self._server.shutdown()
        self._thread.join(PATIENCE)


class OriginH2(http2_origin.Origin):
    """The same over HTTP/2."""

    def __init__(self, allows=True):
        self.closed = threading.Event()
        settings = {http2.Setting.ENABLE_CONNECT_PROTOCOL: int(allows)}
        super().__init__(self._answer, settings=settings, early=True)

    def _answer(self, exchange):
        if exchange.get(":protocol") != "websocket" or exchange.get(":path") == "/no":
            exchange.respond(403, b"no\n")
            return
        protocol = websockets.server.ServerProtocol(state=websockets.protocol.State.OPEN, max_size=None)
        chosen = [("sec-websocket-protocol", "chat")] if exchange.get("sec-websocket-protocol") else []
        exchange.head(200, chosen)
        exchange.on_data = lambda data: self._take(exchange, protocol, data)

    def _take(self, exchange, protocol, data):
        protocol.receive_data(data)
        for frame in protocol.events_received():
            if frame.opcode is Opcode.TEXT and frame.data == b"bye":
                protocol.send_close(1001, "going")
            elif frame.opcode is Opcode.TEXT and frame.data == b"die":
                exchange.connection.sock.shutdown(socket.SHUT_RDWR)
                return
            elif frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                send = {
                    Opcode.TEXT: protocol.send_text,
                    Opcode.BINARY: protocol.send_binary,
                    Opcode.CONT: protocol.send_continuation,
                }[frame.opcode]
                send(bytes(frame.data), frame.fin)
            elif frame.opcode is Opcode.CLOSE:
                self.closed.set()
        exchange.send(b"".join(protocol.data_to_send()), ends=protocol.close_expected())


class ClientH1:
    """A client over HTTP/1.1."""

    def __init__(self, address, path="/chat"):
        uri = f"ws://localhost:{address[1]}{path}"
        self._connection = websockets.sync.client.connect(
            uri, subprotocols=["chat"], open_timeout=PATIENCE, compression=None, max_size=None, proxy=None, legacy=True,
        )  # fmt: skip
        self.subprotocol = self._connection.subprotocol

    def send(self, message):
        self._connection.send(message)

    def receive(self):
        """The next message; ("closed", code) at the end."""
        try:
            return self._connection.recv(PATIENCE)
        except websockets.exceptions.ConnectionClosed as closed:
            return ("closed", closed.rcvd.code if closed.rcvd else None)

    def ping(self):
        return self._connection.ping().wait(PATIENCE)

    def close(self):
        self._connection.close()


class Refused(Exception):
    """The handshake was answered with a status."""


class ClientH2:
    """A client over HTTP/2."""

    def __init__(self, address, path="/chat"):
        self.client = http2.Client(address)
        self.client.pump(lambda: self.client.settings, "SETTINGS")
        assert self.client.settings.get(http2.Setting.ENABLE_CONNECT_PROTOCOL) == 1, "extended CONNECT is not offered"
        self.number = self.client.new_stream()
        self.stream = self.client.streams[self.number]
        extra = [(":protocol", "websocket"), ("sec-websocket-version", "13"), ("sec-websocket-protocol", "chat")]
        self.client.send(self.client.headers(self.number, http2.request("CONNECT", path, extra=extra)))
        self.client.pump(lambda: self.stream.fields or self.stream.is_done)
        if self.stream.status != 200:
            self.client.close()
            raise Refused(f"HTTP {self.stream.status}, {self.client.describe(self.number)}")
        self.subprotocol = self.stream.get("sec-websocket-protocol")
        self._protocol = websockets.client.ClientProtocol(
            websockets.uri.parse_uri("ws://localhost/"), state=websockets.protocol.State.OPEN, max_size=None
        )
        self._taken = 0
        self._pending = collections.deque()

    def send(self, message):
        text = isinstance(message, str)
        (self._protocol.send_text if text else self._protocol.send_binary)(message.encode() if text else message)
        self._write()

    def _write(self):
        data = b"".join(self._protocol.data_to_send())
        if data:
            self.client.write(self.number, data)

    def _next(self):
        """The next frame; None at the end of the stream."""
        while not self._pending:
            body = self.stream.body
            if len(body) == self._taken and not self._more():
                return None
            self._protocol.receive_data(bytes(body[self._taken :]))
            self._taken = len(body)
            self._pending.extend(self._protocol.events_received())
        return self._pending.popleft()

    def receive(self):
        """The next message; ("closed", code) at the end."""
        parts, is_text = [], False
        while (frame := self._next()) is not None:
            if frame.opcode is Opcode.CLOSE:
                self._write()
                return ("closed", self._protocol.close_rcvd.code)
            if frame.opcode is Opcode.PONG:
                continue
            is_text = is_text or frame.opcode is Opcode.TEXT
            parts.append(bytes(frame.data))
            if frame.fin:
                message = b"".join(parts)
                return message.decode() if is_text else message
        return ("closed", None)

    def _more(self):
        """Reads on; false at the end of the stream."""
        before = len(self.stream.body)
        self.client.pump(lambda: len(self.stream.body) > before or self.stream.is_done, "a message")
        return len(self.stream.body) > before

    def ping(self):
        self._protocol.send_ping(b"are you?")
        self._write()
        while (frame := self._next()) is not None:
            if frame.opcode is Opcode.PONG:
                return True
        return False

    def close(self):
        if self._protocol.state is websockets.protocol.State.OPEN:
            self._protocol.send_close(1000)
            self._write()
            self.receive()
        self.client.close()
