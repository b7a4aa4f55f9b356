"""An HTTP/2 client that sends any frame, right or wrong, and keeps what it gets."""

import contextlib
import dataclasses
import enum
import time

import hpack
from hyperframe import frame as frames
from hyperframe.exceptions import UnknownFrameError

from support.net import PATIENCE, connect

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
LARGEST_WINDOW = 2**31 - 1


class Code(enum.IntEnum):
    """Error codes, RFC 9113 7."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13


class Setting(enum.IntEnum):
    """Settings, RFC 9113 6.5.2 and RFC 8441 3."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6
    ENABLE_CONNECT_PROTOCOL = 8


@dataclasses.dataclass
class Stream:
    """What has come on a stream."""

    number: int
    fields: list = None
    informational: list = dataclasses.field(default_factory=list)
    body: bytearray = dataclasses.field(default_factory=bytearray)
    trailers: list = None
    has_ended: bool = False
    reset: Code = None

    @property
    def status(self):
        return None if self.fields is None else int(dict(self.fields)[":status"])

    @property
    def is_done(self):
        return self.has_ended or self.reset is not None

    def get(self, name):
        values = [value for field, value in self.fields if field == name]
        assert len(values) < 2, f"{name} is repeated: {values}"
        return values[0] if values else None


class Client:
    """One connection. Windows are opened as data comes, unless `window` says how much is let in at all."""

    def __init__(self, address, tls=None, settings=None, window=None, starts=True):
        self.sock = connect(address, tls)
        self.encoder = hpack.Encoder()
        self.decoder = hpack.Decoder()
        self.decoder.max_header_list_size = 1 << 20
        self.streams = {}
        self.settings = {}
        self.goaways = []
        self.pongs = []
        self.received = 0
        # How much the other side lets this one send: on the connection (0) and on each stream, from what it lets all.
        self._room = {0: 65_535}
        self.is_closed = False
        self.opens_windows = window is None
        self.answers = True
        self._block = None
        self._buffer = bytearray()
        self._next = 1
        if starts:
            first = {Setting.ENABLE_PUSH: 0, Setting.INITIAL_WINDOW_SIZE: LARGEST_WINDOW if window is None else window}
            self.send(PREFACE, frames.SettingsFrame(0, settings=first | (settings or {})))
            if window is None:
                self.send(frames.WindowUpdateFrame(0, window_increment=LARGEST_WINDOW - 65_535))

    # Sending.

    def send(self, *parts):
        """Sends frames, or bytes as they are; quietly nothing if the other side has closed."""
        data = b"".join(part if isinstance(part, bytes) else part.serialize() for part in parts)
        # What the other side has said before it closed is still to be read.
        with contextlib.suppress(ConnectionError):
            self.sock.sendall(data)

    def new_stream(self):
        """The next stream's number."""
        number, self._next = self._next, self._next + 2
        self.streams[number] = Stream(number)
        return number

    def block(self, fields):
        """Fields as a header block."""
        return self.encoder.encode([(_bytes(name), _bytes(value)) for name, value in fields])

    def headers(self, number, fields, ends=False, flags=("END_HEADERS",)):
        """A HEADERS frame; its block is encoded now, so it must be sent."""
        data = fields if isinstance(fields, bytes) else self.block(fields)
        return frames.HeadersFrame(number, data=data, flags=[*flags, *(["END_STREAM"] if ends else [])])

    def ask(self, fields=None, body=None, **pseudo):
        """Sends a request, with fields of its own or ordinary ones; returns the stream's number."""
        number = self.new_stream()
        self.send(self.headers(number, fields or request(**pseudo), ends=body is None))
        if body is not None:
            self.send(data(number, body, ends=True))
        return number

    # Receiving.

    def pump(self, condition, what="an answer", patience=PATIENCE):
        """Reads until the condition holds or the connection is closed; whether it holds."""
        end = time.monotonic() + patience
        while not condition():
            if self.is_closed:
                return condition()
            left = end - time.monotonic()
            if left <= 0:
                raise AssertionError(f"waited {patience} s in vain for {what}")
            self.read(left)
        return True

    def read(self, patience):
        """Reads once and takes the frames that are complete."""
        self.sock.settimeout(max(patience, 0.001))
        try:
            more = self.sock.recv(262_144)
        except TimeoutError:
            return
        except ConnectionError:
            more = b""
        if not more:
            self.is_closed = True
        self._buffer += more
        self.sock.settimeout(PATIENCE)
        while (frame := self._parse()) is not None:
            self._take(frame)

    def _parse(self):
        if len(self._buffer) < 9:
            return None
        with contextlib.suppress(UnknownFrameError):
            frame, length = frames.Frame.parse_frame_header(memoryview(bytes(self._buffer[:9])))
            if len(self._buffer) < 9 + length:
                return None
            frame.parse_body(memoryview(bytes(self._buffer[9 : 9 + length])))
            del self._buffer[: 9 + length]
            return frame
        raise AssertionError(f"an unknown frame: {bytes(self._buffer[:9])!r}")

    def _take(self, frame):
        stream = self.streams.setdefault(frame.stream_id, Stream(frame.stream_id)) if frame.stream_id else None
        if isinstance(frame, frames.SettingsFrame):
            if "ACK" not in frame.flags:
                self._settle(frame.settings)
                self._answer(frames.SettingsFrame(0, flags=["ACK"]))
        elif isinstance(frame, frames.PingFrame):
            if "ACK" in frame.flags:
                self.pongs.append(frame.opaque_data)
            else:
                self._answer(frames.PingFrame(0, opaque_data=frame.opaque_data, flags=["ACK"]))
        elif isinstance(frame, frames.GoAwayFrame):
            self.goaways.append((Code(frame.error_code), frame.last_stream_id))
        elif isinstance(frame, frames.RstStreamFrame):
            stream.reset = Code(frame.error_code)
        elif isinstance(frame, frames.WindowUpdateFrame):
            self._room[frame.stream_id] = self._room.get(frame.stream_id, self._first_room()) + frame.window_increment
        elif isinstance(frame, frames.DataFrame):
            self._take_data(stream, frame)
        elif isinstance(frame, (frames.HeadersFrame, frames.ContinuationFrame)):
            self._take_headers(stream, frame)

    def _first_room(self):
        return self.settings.get(Setting.INITIAL_WINDOW_SIZE, 65_535)

    def _settle(self, settings):
        before = self._first_room()
        self.settings |= settings
        for number in self._room:
            self._room[number] += self._first_room() - before if number else 0

    def room(self, number):
        """How many bytes may be sent on a stream now."""
        return min(self._room[0], self._room.setdefault(number, self._first_room()))

    def write(self, number, body, ends=False, patience=PATIENCE):
        """Sends a body as the windows allow; how much of it could be sent before nothing more was let in for so long."""
        sent = 0
        while sent < len(body) or (ends and not body):
            with contextlib.suppress(AssertionError):
                self.pump(lambda: self.room(number) > 0 or self.streams[number].is_done, "room", patience)
            size = min(len(body) - sent, self.room(number), 16_384)
            if body and (size <= 0 or self.is_closed):
                break
            part, sent = body[sent : sent + size], sent + size
            self._room[0] -= size
            self._room[number] -= size
            self.send(data(number, part, ends and sent == len(body)))
            if not body:
                break
        return sent

    def _answer(self, frame):
        if self.answers:
            self.send(frame)

    def _take_data(self, stream, frame):
        assert stream.fields is not None, "DATA before the response head"
        assert not stream.has_ended, "DATA after the end"
        stream.body += frame.data
        self.received += len(frame.data)
        stream.has_ended = "END_STREAM" in frame.flags
        if self.opens_windows and frame.flow_controlled_length:
            size = frame.flow_controlled_length
            self.send(*[frames.WindowUpdateFrame(number, window_increment=size) for number in (0, frame.stream_id)])

    def _take_headers(self, stream, frame):
        if isinstance(frame, frames.HeadersFrame):
            self._block = (bytearray(), "END_STREAM" in frame.flags)
        self._block[0].extend(frame.data)
        if "END_HEADERS" not in frame.flags:
            return
        fields = self.decoder.decode(bytes(self._block[0]))
        if stream.fields is not None:
            assert self._block[1], "trailers that do not end the stream"
            stream.trailers = fields
        elif dict(fields)[":status"].startswith("1"):
            stream.informational.append(fields)
        else:
            stream.fields = fields
        stream.has_ended = self._block[1]

    # Waiting.

    def response(self, number, patience=PATIENCE):
        """The stream when it is done, or the connection closed."""
        stream = self.streams[number]
        self.pump(lambda: stream.is_done, f"the end of stream {number}: {self.describe(number)}", patience)
        return stream

    def get(self, **pseudo):
        """Asks, and returns the complete response."""
        return self.response(self.ask(**pseudo))

    def describe(self, number):
        return f"{self.streams.get(number)}, GOAWAY {self.goaways}"

    def outcome(self, number, patience=PATIENCE):
        """How a stream has ended: ("status", n), ("stream", code), ("connection", code), or ("closed", None)."""
        stream = self.streams.setdefault(number, Stream(number))
        self.pump(lambda: stream.is_done or self._failure(), f"an end: {self.describe(number)}", patience)
        if stream.reset is not None and stream.fields is None:
            return ("stream", stream.reset)
        if self._failure() is not None:
            return ("connection", self._failure())
        if stream.has_ended:
            return ("status", stream.status)
        return ("stream", stream.reset) if stream.reset is not None else ("closed", None)

    def fate(self, patience=PATIENCE):
        """The code with which the connection is ended, and None when it is closed without one."""
        self.pump(lambda: self._failure() is not None, "the end of the connection", patience)
        return self._failure()

    def _failure(self):
        return next((code for code, _ in self.goaways if code != Code.NO_ERROR), None)

    def ping(self):
        """Whether the connection still answers."""
        before = len(self.pongs)
        self.send(frames.PingFrame(0, opaque_data=b"are you?"))
        return self.pump(lambda: len(self.pongs) > before, "a pong")

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def request(method="GET", path="/", scheme="http", authority="localhost", extra=()):
    """An ordinary request's fields."""
    return [(":method", method), (":scheme", scheme), (":authority", authority), (":path", path), *extra]


def data(number, body, ends=False):
    """DATA frames, of the size that everybody must accept."""
    parts = [body[at : at + 16_384] for at in range(0, len(body), 16_384)] or [b""]
    made = [frames.DataFrame(number, data=part) for part in parts]
    if ends:
        made[-1].flags.add("END_STREAM")
    return b"".join(frame.serialize() for frame in made)


def raw_frame(kind, flags, number, payload):
    """Any frame at all."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + number.to_bytes(4, "big") + payload


def _bytes(text):
    return text if isinstance(text, bytes) else text.encode("latin-1")
