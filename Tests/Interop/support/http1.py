"""HTTP/1.1 by hand: a client that sends any bytes, an origin that records what it gets and answers what it is told."""

import dataclasses
import re
import threading

from support.net import PATIENCE, Server, connect

TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Malformed(Exception):
    """What came is not HTTP/1.1 as the RFCs have it."""


@dataclasses.dataclass
class Message:
    """A head, a body and trailers; names in lower case, in order."""

    start: bytes
    fields: list
    body: bytes = b""
    trailers: list = dataclasses.field(default_factory=list)
    informational: list = dataclasses.field(default_factory=list)

    @property
    def status(self):
        return int(self.start.split(b" ")[1])

    @property
    def method(self):
        return self.start.split(b" ")[0].decode()

    @property
    def target(self):
        return self.start.split(b" ")[1].decode()

    def all(self, name):
        """Every value of a field."""
        return [value for field, value in self.fields if field == name]

    def get(self, name):
        """A field's only value, or None."""
        values = self.all(name)
        assert len(values) < 2, f"{name} is repeated: {values}"
        return values[0] if values else None


class Reader:
    """Reads messages from a socket, strictly."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""

    def more(self):
        """Reads once; false at the end."""
        data = self.sock.recv(262_144)
        self.buffer += data
        return bool(data)

    def until(self, mark):
        """What comes up to and including the mark; None at the end before anything."""
        start = 0
        while (at := self.buffer.find(mark, start)) < 0:
            start = max(0, len(self.buffer) - len(mark))
            if not self.more():
                if self.buffer:
                    raise EOFError(f"the end within {self.buffer[:200]!r}")
                return None
        at += len(mark)
        taken, self.buffer = self.buffer[:at], self.buffer[at:]
        return taken

    def exactly(self, count):
        """That many bytes."""
        parts, left = [self.buffer[:count]], count - len(self.buffer[:count])
        self.buffer = self.buffer[count:]
        while left > 0:
            data = self.sock.recv(min(left, 262_144))
            if not data:
                raise EOFError(f"the end {left} bytes before that of the body")
            parts.append(data)
            left -= len(data)
        return b"".join(parts)

    def rest(self):
        """All up to the end."""
        while self.more():
            pass
        taken, self.buffer = self.buffer, b""
        return taken

    def head(self):
        """The next head, or None at a clean end."""
        raw = self.until(b"\r\n\r\n")
        if raw is None:
            return None
        lines = raw[:-4].split(b"\r\n")
        return Message(start=self._checked(lines[0]), fields=[self._field(line) for line in lines[1:]])

    @staticmethod
    def _checked(line):
        if re.search(rb"[\0\r\n]", line):
            raise Malformed(f"a control byte in {line!r}")
        return line

    def _field(self, line):
        name, colon, value = self._checked(line).partition(b":")
        if not colon or not TOKEN.fullmatch(name):
            raise Malformed(f"not a field line: {line!r}")
        return name.decode().lower(), value.strip(b" \t").decode("latin-1")

    def body(self, message, is_response=False, to_end=False):
        """Reads the body that the head announces."""
        coding, lengths = message.get("transfer-encoding"), message.all("content-length")
        if coding is not None and lengths:
            raise Malformed("both Transfer-Encoding and Content-Length")
        if coding is not None:
            if coding.lower() != "chunked":
                raise Malformed(f"Transfer-Encoding: {coding}")
            self.chunks(message)
        elif lengths:
            if len(lengths) > 1 or not re.fullmatch(r"\d+", lengths[0]):
                raise Malformed(f"Content-Length: {lengths}")
            message.body = self.exactly(int(lengths[0]))
        elif is_response and to_end:
            message.body = self.rest()

    def chunks(self, message):
        """Reads a chunked body and its trailers."""
        parts = []
        while True:
            line = self.until(b"\r\n")
            if line is None:
                raise EOFError("the end between chunks")
            if not (match := re.fullmatch(rb"([0-9a-fA-F]+)(;[^\r\n]*)?\r\n", line)):
                raise Malformed(f"not a chunk: {line!r}")
            size = int(match.group(1), 16)
            if size == 0:
                break
            parts.append(self.exactly(size))
            if self.exactly(2) != b"\r\n":
                raise Malformed("no line end after a chunk")
        message.body = b"".join(parts)
        while (line := self.until(b"\r\n")) != b"\r\n":
            if line is None:
                raise EOFError("the end within the trailers")
            message.trailers.append(self._field(line[:-2]))


class Client:
    """A client on one connection."""

    def __init__(self, address, tls=None):
        self.sock = connect(address, tls)
        self.reader = Reader(self.sock)

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))

    def response(self, to="GET"):
        """The next final response, the informational ones before it inside; None at the end of the connection."""
        informational = []
        while True:
            message = self.reader.head()
            if message is None:
                return None
            if 100 <= message.status < 200 and message.status != 101:
                informational.append(message)
                continue
            message.informational = informational
            if to != "HEAD" and message.status not in (101, 204, 304):
                self.reader.body(message, is_response=True, to_end=True)
            return message

    def ask(self, data, to="GET"):
        """Sends a request and returns the response."""
        self.send(data)
        return self.response(to)

    def body_bytes(self, head):
        """Reads some of a body, and says how much: what has come, or the next chunk."""
        if head.get("transfer-encoding") is None:
            if not self.reader.buffer and not self.reader.more():
                raise EOFError("the end within a body")
            taken, self.reader.buffer = self.reader.buffer, b""
            return len(taken)
        size = int(self.reader.until(b"\r\n"), 16)
        assert size > 0, "the last chunk came early"
        return len(self.reader.exactly(size + 2)) - 2

    def is_closed(self):
        """Whether the other side closes within the socket's deadline, saying nothing more."""
        try:
            return self.reader.buffer == b"" and self.sock.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Origin(Server):
    """Records each request, complete with its body, and lets a function answer it.

    The function gets the exchange and may do with its socket what it likes; true from it means: keep the connection.
    """

    def __init__(self, answer=None, tls=None, early=False):
        self.answer = answer or echo
        self.early = early
        self.requests = []
        self.malformed = []
        self._guard = threading.Lock()
        super().__init__(tls)

    def serve(self, sock):
        reader = Reader(sock)
        while True:
            try:
                request = reader.head()
                if request is None:
                    return
                if not self.early:
                    reader.body(request)
            except Malformed as error:
                self.malformed.append(str(error))
                return
            with self._guard:
                self.requests.append(request)
            if not self.answer(Exchange(self, sock, reader, request)):
                return

    def targets(self):
        return [request.target for request in self.requests]


@dataclasses.dataclass
class Exchange:
    """One request at the origin, and the means to answer it."""

    origin: Origin
    sock: object
    reader: Reader
    request: Message

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))

    def respond(self, status=200, body=b"", fields=(), reason="Said"):
        """A whole response with Content-Length."""
        lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in fields)]
        if status not in (204, 304) and not any(name.lower() == "content-length" for name, _ in fields):
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join(lines) + "\r\n\r\n"
        self.send(head.encode("latin-1") + (b"" if self.request.method == "HEAD" else body))
        return True

    def wait_for_end(self):
        """Waits until the other side closes or resets; whether it did."""
        self.sock.settimeout(PATIENCE)
        try:
            while self.sock.recv(65_536):
                pass
        except ConnectionError:
            return True
        except OSError:
            return False
        return True


def echo(exchange):
    """Answers with the request's body."""
    return exchange.respond(200, exchange.request.body)
