"""An HTTP/2 origin on hyper-h2, which refuses what is malformed, answers what it is told, and misbehaves on demand."""

import collections
import contextlib
import threading

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
from hyperframe import frame as frames

from support.net import Server


class Origin(Server):
    """Records the requests and lets a function answer each `Exchange`, when complete or (early) when its head is there.

    `settings` are this server's (numbers to values); `alive` false of a connection makes it deaf and dumb.
    """

    def __init__(self, answer=None, tls=None, settings=None, early=False):
        self.answer = answer or echo
        self.settings = {int(key): value for key, value in (settings or {}).items()}
        self.early = early
        self.exchanges = []
        self.malformed = []
        self.connections = []
        self.guard = threading.Lock()
        super().__init__(tls)

    def serve(self, sock):
        connection = Connection(self, sock)
        with self.guard:
            self.connections.append(connection)
        connection.run()

    def targets(self):
        return [exchange.get(":path") for exchange in list(self.exchanges)]


class Connection:
    """One client's connection."""

    def __init__(self, origin, sock):
        self.origin, self.sock = origin, sock
        self.lock = threading.RLock()
        self.exchanges = {}
        self.is_alive = True
        self.silence = threading.Event()
        configuration = h2.config.H2Configuration(client_side=False, header_encoding="latin-1")
        self.h2 = h2.connection.H2Connection(configuration)
        initial = {h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 100, **origin.settings}
        self.h2.local_settings = h2.settings.Settings(client=False, initial_values=initial)

    def run(self):
        with self.lock:
            self.h2.initiate_connection()
            self.flush()
        while data := self.sock.recv(262_144):
            if not self.is_alive:
                self.silence.set()
                continue
            with self.lock:
                try:
                    events = self.h2.receive_data(data)
                except h2.exceptions.ProtocolError as error:
                    self.origin.malformed.append(repr(error))
                    self.flush()
                    return
                for event in events:
                    self._take(event)
                self.flush()

    def _take(self, event):
        exchange = self.exchanges.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.RequestReceived):
            exchange = Exchange(self, event.stream_id, event.headers)
            self.exchanges[event.stream_id] = exchange
            with self.origin.guard:
                self.origin.exchanges.append(exchange)
            if self.origin.early:
                self.origin.answer(exchange)
        elif isinstance(event, h2.events.DataReceived):
            exchange.take(event.data)
            if event.flow_controlled_length and exchange.opens_window:
                with contextlib.suppress(h2.exceptions.ProtocolError):
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            exchange.trailers = event.headers
        elif isinstance(event, h2.events.StreamReset):
            exchange.reset = event.error_code
            exchange.was_reset.set()
        elif isinstance(event, h2.events.StreamEnded):
            exchange.has_ended = True
            if not self.origin.early:
                self.origin.answer(exchange)
        elif isinstance(event, (h2.events.WindowUpdated, h2.events.RemoteSettingsChanged)):
            for other in list(self.exchanges.values()):
                other.push()

    def flush(self):
        with self.lock:
            if self.is_alive:
                self.sock.sendall(self.h2.data_to_send())

    def raw(self, *parts):
        """Sends frames behind hyper-h2's back."""
        with self.lock:
            self.flush()
            self.sock.sendall(b"".join(part.serialize() for part in parts))

    def goaway(self, last, code=0):
        """Says GOAWAY, and goes on with the streams up to the last."""
        self.raw(frames.GoAwayFrame(0, last_stream_id=last, error_code=int(code)))


class Exchange:
    """One request and its stream; usable from any thread."""

    def __init__(self, connection, number, fields):
        self.connection, self.number, self.fields = connection, number, fields
        self.body = bytearray()
        self.trailers = None
        self.has_ended = False
        self.reset = None
        self.was_reset = threading.Event()
        self.opens_window = True
        self.on_data = None
        self._queue = collections.deque()
        self.sent = 0

    def get(self, name):
        values = [value for field, value in self.fields if field == name]
        assert len(values) < 2, f"{name} is repeated: {values}"
        return values[0] if values else None

    def take(self, data):
        if self.on_data is None:
            self.body += data
        else:
            self.on_data(data)

    def head(self, status=200, fields=(), ends=False):
        """Sends a head; informational ones come before the final one."""
        with self.connection.lock:
            self.connection.h2.send_headers(self.number, [(":status", str(status)), *fields], end_stream=ends)
            self.connection.flush()

    def send(self, data, ends=False, trailers=None):
        """Queues body bytes, and what ends the stream."""
        with self.connection.lock:
            self._queue.append((memoryview(data), ends, trailers))
            self.push()
            self.connection.flush()

    def push(self):
        """Sends what the windows allow."""
        connection = self.connection.h2
        with self.connection.lock, contextlib.suppress(h2.exceptions.StreamClosedError):
            while self._queue:
                data, ends, trailers = self._queue.popleft()
                room = min(connection.local_flow_control_window(self.number), connection.max_outbound_frame_size)
                part, rest = data[:room], data[room:]
                if len(rest) > 0:
                    self._queue.appendleft((rest, ends, trailers))
                    if room <= 0:
                        return
                is_last = not self._queue and ends
                if len(part) > 0 or (is_last and trailers is None):
                    connection.send_data(self.number, bytes(part), end_stream=is_last and trailers is None)
                    self.sent += len(part)
                if is_last and trailers is not None:
                    connection.send_headers(self.number, trailers, end_stream=True)

    def respond(self, status=200, body=b"", fields=(), trailers=None):
        """A whole response."""
        is_empty = not body and trailers is None
        self.head(status, fields, ends=is_empty)
        if not is_empty:
            self.send(body, ends=True, trailers=trailers)

    def end(self, code):
        """Resets the stream."""
        with self.connection.lock:
            self.connection.h2.reset_stream(self.number, h2.errors.ErrorCodes(int(code)))
            self.connection.flush()


def echo(exchange):
    """Answers with the request's body."""
    exchange.respond(200, bytes(exchange.body), [("content-length", str(len(exchange.body)))])
