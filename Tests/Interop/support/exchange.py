"""One way to ask and one way to look, whatever the protocol version: for what must be the same in all of them."""

import dataclasses

from support import http1, http2, http2_origin

VERSIONS = ("h1", "h2")


@dataclasses.dataclass
class Answer:
    """What a client has got; names in lower case, no pseudo-headers."""

    status: int
    fields: list
    body: bytes
    trailers: list
    informational: list

    def all(self, name):
        return [value for field, value in self.fields if field == name]


@dataclasses.dataclass
class Request:
    """What an origin has got; `host` is Host or :authority."""

    method: str
    target: str
    host: str
    fields: list
    body: bytes
    trailers: list
    scheme: str = None

    def all(self, name):
        return [value for field, value in self.fields if field == name]


def ask(version, address, method="GET", target="/", host="localhost", fields=(), body=None, trailers=None, tls=None):
    """Makes a request on a connection of its own. Without a Content-Length among the fields a body is chunked in HTTP/1.1."""
    if version == "h1":
        return _ask_h1(address, tls, method, target, host, list(fields), body, trailers)
    return _ask_h2(address, tls, method, target, host, list(fields), body, trailers)


def _ask_h1(address, tls, method, target, host, fields, body, trailers):
    has_length = any(name.lower() == "content-length" for name, _ in fields)
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in fields)]
    if body is not None and not has_length:
        lines.append("Transfer-Encoding: chunked")
    with http1.Client(address, tls) as client:
        client.send("\r\n".join(lines) + "\r\n\r\n")
        if body is not None and has_length:
            client.send(body)
        elif body is not None:
            client.send((f"{len(body):x}\r\n".encode() + body + b"\r\n" if body else b"") + b"0\r\n")
            client.send("".join(f"{name}: {value}\r\n" for name, value in trailers or []) + "\r\n")
        message = client.response(method)
        assert message is not None, "closed without an answer"
        informational = [(each.status, each.fields) for each in message.informational]
        return Answer(message.status, message.fields, message.body, message.trailers, informational)


def _ask_h2(address, tls, method, target, host, fields, body, trailers):
    with http2.Client(address, tls) as client:
        number = client.new_stream()
        scheme = "http" if tls is None else "https"
        fields = http2.request(method, target, scheme, host, [(name.lower(), value) for name, value in fields])
        client.send(client.headers(number, fields, ends=body is None))
        if body is not None:
            client.send(http2.data(number, body, ends=trailers is None))
        if trailers is not None:
            client.send(client.headers(number, trailers, ends=True))
        stream = client.response(number)
        assert stream.fields is not None, client.describe(number)
        assert stream.has_ended, client.describe(number)
        informational = [(int(each[0][1]), each[1:]) for each in stream.informational]
        return Answer(stream.status, stream.fields[1:], bytes(stream.body), stream.trailers or [], informational)


def seen(origin):
    """The requests that an origin of either version has got completely."""
    if isinstance(origin, http1.Origin):
        return [
            Request(each.method, each.target, each.get("host"), each.fields, each.body, each.trailers)
            for each in origin.requests
        ]
    return [_of_exchange(each) for each in list(origin.exchanges) if each.has_ended]


def _of_exchange(exchange):
    pseudo = {name: value for name, value in exchange.fields if name.startswith(":")}
    fields = [(name, value) for name, value in exchange.fields if not name.startswith(":")]
    return Request(
        pseudo[":method"], pseudo[":path"], pseudo.get(":authority"), fields, bytes(exchange.body), exchange.trailers or [],
        pseudo[":scheme"],
    )  # fmt: skip


def origin(version, answer, **options):
    """An origin of a version. `answer` gets a `Reply` and the request."""
    if version == "h1":
        return http1.Origin(lambda exchange: answer(ReplyH1(exchange), exchange.request.target), **options)
    return http2_origin.Origin(lambda exchange: answer(ReplyH2(exchange), exchange.get(":path")), **options)


class ReplyH1:
    """Answers over HTTP/1.1."""

    def __init__(self, exchange):
        self.exchange = exchange
        self.body = exchange.request.body

    def inform(self, status, fields=()):
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
        self.exchange.send(f"HTTP/1.1 {status} Note\r\n{lines}\r\n")

    def respond(self, status=200, fields=(), body=b"", trailers=None):
        """With a Content-Length among the fields, as it is; chunked otherwise."""
        has_body = status not in (204, 304) and self.exchange.request.method != "HEAD"
        has_length = any(name.lower() == "content-length" for name, _ in fields)
        lines = [f"{name}: {value}" for name, value in fields]
        if status not in (204, 304) and not has_length:
            lines.append("Transfer-Encoding: chunked")
        self.exchange.send(f"HTTP/1.1 {status} Said\r\n" + "".join(f"{line}\r\n" for line in lines) + "\r\n")
        if has_body and has_length:
            self.exchange.send(body)
        elif has_body:
            self.exchange.send((f"{len(body):x}\r\n".encode() + body + b"\r\n" if body else b"") + b"0\r\n")
            self.exchange.send("".join(f"{name}: {value}\r\n" for name, value in trailers or []) + "\r\n")
        return True


class ReplyH2:
    """Answers over HTTP/2."""

    def __init__(self, exchange):
        self.exchange = exchange
        self.body = bytes(exchange.body)

    def inform(self, status, fields=()):
        self.exchange.head(status, [(name.lower(), value) for name, value in fields])

    def respond(self, status=200, fields=(), body=b"", trailers=None):
        fields = [(name.lower(), value) for name, value in fields]
        is_empty = status in (204, 304) or self.exchange.get(":method") == "HEAD" or (not body and trailers is None)
        self.exchange.head(status, fields, ends=is_empty)
        if not is_empty:
            self.exchange.send(body, ends=True, trailers=trailers)
        return True
