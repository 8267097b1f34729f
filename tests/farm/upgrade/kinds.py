"""Clients of a node under upgrade that are no plain HTTP: TLS, HTTP/2 in it, Redis, and a service of plain TCP. Each is a
function that gives a generator's maker: one step of the generator is one request, and what goes wrong raises."""
import http.client
import os
import pathlib
import socket
import ssl
import struct
import sys
import time

FARM = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(FARM), str(FARM / "tls"), str(FARM / "h2")]
from certs import Authority
from farm import PUBLIC, SHOP, check
from frames import ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PREFACE, RST_STREAM, SETTINGS, frame, literal

TLS, REDIS, ECHO, SESSIOND = 8443, 6379, 7007, 7399
BUSY = (b"-TRYAGAIN", b"SERVER_ERROR not reachable at the moment")


def patiently(ask, wait_s=10):
    """What a cache's door says of nodes that are starved of time on a crowded machine is no answer: it is asked again, on
    the same connection."""
    end = time.monotonic() + wait_s
    while (line := ask()).startswith(BUSY) and time.monotonic() < end:
        time.sleep(0.1)
    return line


def configure(farm):
    Authority(farm.run).issue("shop", "shop", "www.shop.test", "*.shop.test")
    with open(farm.dir / "services.conf", "a") as f:
        f.write(f'service "echo" {{ name = "echo.test" url = "tcp://echo.test:{ECHO}" }}\n')
    for name in farm.names:
        ip, conf = farm.ip(name), farm.conf(name)
        text = conf.read_text()
        for was, is_now in ((f'listen = "{ip}:{PUBLIC}"', f'listen = "{ip}:{PUBLIC}" listen-tls = "{ip}:{TLS}"'),
                            (f'"http://{name}.shop.test:{PUBLIC}"',
                             f'"http://{name}.shop.test:{PUBLIC}", "https://{name}.shop.test:{TLS}"')):
            check(was in text, f"{conf} has no {was}")
            text = text.replace(was, is_now)
        conf.write_text(text + f"""
tls {{ certificate "shop" {{ chain = "run/shop.pem" key = "run/shop.key" }} }}
redis {{ listen = "{ip}:{REDIS}" }}
sessiond {{ listen = "{ip}:{SESSIOND}" }}
server "echo" {{
    urls    = {{"tcp://{name}.echo.test:{ECHO}"}}
    listen  = "{ip}:{ECHO}"
    forward = "{ip}:{SHOP + 1}"
    check {{ type = "tcp" interval = "500ms" }}
}}
""")


def context(farm, *protocols):
    c = ssl.create_default_context(cafile=farm.run / "authority.pem")
    c.set_alpn_protocols(protocols)
    return c


def secured(farm, name, c):
    s = socket.create_connection((farm.ip(name), TLS), timeout=15)
    return c.wrap_socket(s, server_hostname=f"{name}.shop.test")


def https(farm, name):
    """One connection until an answer says that it is the last."""
    def work():
        c, h = context(farm, "http/1.1"), None
        while True:
            if not h:
                h = http.client.HTTPConnection(farm.ip(name), TLS)
                h.sock, h.auto_open = secured(farm, name, c), 0
            h.request("GET", "/", headers={"Host": f"{name}.shop.test:{TLS}"})
            r = h.getresponse()
            body = r.read()
            check((r.status, body) == (200, name.encode()), f"answered {r.status} {body}")
            if r.getheader("Connection", "").lower() == "close":
                h.close()
                h = None
            yield
    return work


class Http2:
    def __init__(self, farm, name, c):
        self.name, self.socket = name, secured(farm, name, c)
        check(self.socket.selected_alpn_protocol() == "h2", "no HTTP/2")
        self.file, self.stream, self.leave = self.socket.makefile("rb"), -1, False
        self.socket.sendall(PREFACE + frame(SETTINGS, 0, 0))

    def read(self):
        start = self.file.read(9)
        check(len(start) == 9, "closed without a word")
        kind, flags, stream = struct.unpack("!BBI", start[3:])
        return kind, flags, stream, self.file.read(int.from_bytes(start[:3], "big"))

    def ask(self):
        """The body; None: the server will not look at it, so that it may be repeated."""
        self.stream += 2
        fields = {":method": "GET", ":scheme": "https", ":authority": f"{self.name}.shop.test:{TLS}", ":path": "/"}
        self.socket.sendall(frame(HEADERS, END_STREAM | END_HEADERS, self.stream,
                                  b"".join(literal(n, v) for n, v in fields.items())))
        body = b""
        while True:
            kind, flags, stream, payload = self.read()
            if kind == SETTINGS and not flags & ACK:
                self.socket.sendall(frame(SETTINGS, ACK, 0))
            if kind == GOAWAY:
                last, error = struct.unpack("!II", payload[:8])
                check(error == 0, f"sent away with error {error}")
                self.leave = True
                if last < self.stream:
                    return None
            check(kind != RST_STREAM, "a stream was reset")
            if stream == self.stream and kind == DATA:
                body += payload
            if stream == self.stream and flags & END_STREAM:
                return body


def http2(farm, name):
    def work():
        c, h = context(farm, "h2"), None
        while True:
            if not h or h.leave:
                h = Http2(farm, name, c)
            body = h.ask()
            check(body in (None, name.encode()), f"answered {body}")
            yield
    return work


def redis(farm, name):
    """By one connection, for ever."""
    def work():
        s = socket.create_connection((farm.ip(name), REDIS), timeout=15)
        f, n = s.makefile("rwb"), 0

        def say(*words):
            f.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
            f.flush()
            return f.readline()

        while True:
            n += 1
            key, value = b"r-%s-%d" % (name.encode(), n % 50), b"%d" % n
            line = patiently(lambda: say(b"SET", key, value))
            check(line == b"+OK\r\n", f"SET: {line}")
            line = patiently(lambda: say(b"GET", key))
            check(line == b"$%d\r\n" % len(value), f"GET: {line}")
            check(f.readline().strip() == value, "another value")
            yield
    return work


def echoing(farm, name):
    """By one connection, for ever: some bytes, and now and then many."""
    def work():
        s = socket.create_connection((farm.ip(name), ECHO), timeout=20)
        f, n = s.makefile("rb"), 0
        while True:
            n += 1
            block = struct.pack("!Q", n) * (8000 if n % 20 == 0 else 10)
            s.sendall(block)
            check(f.read(len(block)) == block, "other bytes came back")
            yield
    return work


def resuming(farm, name):
    """TLS sessions by stunnel's datagrams, a socket for each as it has: what is stored is found soon, and then each time."""
    def ask(at, verb, one, value=b""):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(15)
            s.connect(at)
            s.send(struct.pack("!BBH", 1, verb, 300 if verb == 0 else 0) + one + value)
            return s.recv(1024) if verb == 1 else b""

    def work():
        at = (farm.ip(name), SESSIOND)
        while True:
            one, value, end = os.urandom(32), os.urandom(160), time.monotonic() + 15
            ask(at, 0, one, value)
            found = b""
            while found != b"\x01\x81\0\0" + one + value:
                check(time.monotonic() < end, f"a TLS session is not there: {found[:8]}")
                found = ask(at, 1, one)
            for _ in range(50):
                yield
                found = ask(at, 1, one)
                check(found[:2] in (b"\x01\x81", b"\x01\x80"), f"answered {found[:8]}")
    return work
