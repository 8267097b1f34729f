"""DNS messages by hand: queries with options, and answers taken apart into what can be compared."""
import random
import socket
import struct

A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, SRV, OPT, DS, HTTPS, ANY = 1, 2, 5, 6, 12, 15, 16, 28, 33, 41, 43, 65, 255
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, BADVERS, BADCOOKIE = 0, 1, 2, 3, 4, 5, 16, 23
QR, AA, TC, RD = 0x8000, 0x0400, 0x0200, 0x0100


class Malformed(Exception):
    pass


def encode_name(text):
    out = b""
    for label in text.rstrip(".").split(".") if text not in ("", ".") else []:
        out += bytes([len(label)]) + label.encode("latin-1")
    return out + b"\0"


def option(code, data):
    return struct.pack(">HH", code, len(data)) + data


def opt(size=1232, flags=0, options=b"", version=0):
    return b"\0" + struct.pack(">HHBBHH", OPT, size, 0, version, flags, len(options)) + options


def query(name, kind=A, number=None, flags=RD, klass=1, extra=b"", count=None):
    """extra: additional records; count: how many, by default one if there are any."""
    number = random.randrange(65536) if number is None else number
    return struct.pack(">HHHHHH", number, flags, 1, 0, 0, (1 if extra else 0) if count is None else count) + \
        encode_name(name) + struct.pack(">HH", kind, klass) + extra


def read_name(m, at):
    labels, after, limit = [], None, at
    while True:
        if at >= len(m):
            raise Malformed("a name ends outside")
        n = m[at]
        if n >= 0xC0:
            to = struct.unpack(">H", m[at:at + 2])[0] & 0x3FFF
            if to >= limit:
                raise Malformed("a pointer leads forward")
            after, limit, at = after or at + 2, to, to
            continue
        if n > 63 or at + 1 + n > len(m):
            raise Malformed("a label")
        if n == 0:
            return b".".join(labels).lower() + b".", after or at + 1
        labels.append(m[at + 1:at + 1 + n])
        at += 1 + n


def read_data(m, at, kind, length):
    """Names inside of data are spelled out, so that compression makes no difference."""
    end, parts = at + length, []
    skip = {NS: 0, CNAME: 0, PTR: 0, MX: 2, SRV: 6}.get(kind)
    if skip is not None:
        name, after = read_name(m, at + skip)
        parts = [m[at:at + skip], name]
    elif kind == SOA:
        first, after = read_name(m, at)
        second, after = read_name(m, after)
        parts, after = [first, second, m[after:end]], end
    else:
        parts, after = [m[at:end]], end
    if after != end:
        raise Malformed("data and its length")
    return b"|".join(parts)


class Message:
    def __init__(self, m):
        if len(m) < 12:
            raise Malformed("no header")
        self.bytes = m
        self.id, self.flags, *counts = struct.unpack(">HHHHHH", m[:12])
        self.rcode, self.opcode = self.flags & 15, self.flags >> 11 & 15
        self.question, self.sections, self.opt, self.options, at = None, [[], [], []], None, {}, 12
        for _ in range(counts[0]):
            name, after = read_name(m, at)
            self.question = (name, *struct.unpack(">HH", m[after:after + 4]))
            at = after + 4
        for section, count in enumerate(counts[1:]):
            for _ in range(count):
                at = self.read_record(m, at, section)
        if at != len(m):
            raise Malformed("bytes behind the last record")

    def read_record(self, m, at, section):
        name, at = read_name(m, at)
        kind, klass, ttl, length = struct.unpack(">HHIH", m[at:at + 10])
        at += 10
        if at + length > len(m):
            raise Malformed("a record ends outside")
        if kind == OPT:
            self.opt = (klass, ttl)
            self.rcode |= ttl >> 24 << 4
            here = at
            while here < at + length:
                code, n = struct.unpack(">HH", m[here:here + 4])
                self.options[code] = m[here + 4:here + 4 + n]
                here += 4 + n
        else:
            self.sections[section].append((name, kind, klass, ttl, read_data(m, at, kind, length)))
        return at + length

    @property
    def answers(self):
        return self.sections[0]

    def addresses(self):
        return [socket.inet_ntoa(r[4]) for r in self.answers if r[1] == A]


def ask_udp(where, message, timeout_s=3.0):
    """The answer's bytes, None when none comes."""
    family = socket.AF_INET6 if ":" in where[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.settimeout(timeout_s)
        s.connect(where)
        s.send(message)
        try:
            return s.recv(65535)
        except socket.timeout:
            return None


def recv_exactly(s, n):
    out = b""
    while len(out) < n:
        more = s.recv(n - len(out))
        if not more:
            raise OSError("the connection ended")
        out += more
    return out


def connect(where, timeout_s=5.0):
    return socket.create_connection(where, timeout_s)


def send_tcp(s, message):
    s.sendall(struct.pack(">H", len(message)) + message)


def recv_tcp(s):
    return recv_exactly(s, struct.unpack(">H", recv_exactly(s, 2))[0])


def ask_tcp(where, message):
    with connect(where) as s:
        send_tcp(s, message)
        return recv_tcp(s)
