"""The client's side: HTTP and DNS by hand, and a shopper with a cookie who follows names and redirects as a browser does.
Nothing here touches the machine's resolver."""
import http.client
import json
import random
import socket
import struct
import urllib.parse

TIMEOUT_S = 15
REDIRECTS_MAX = 6


class Reply:
    def __init__(self, response, body):
        self.status, self.body = response.status, body
        self.headers = {k.lower(): v for k, v in response.getheaders()}
        self.cookies = [v for k, v in response.getheaders() if k.lower() == "set-cookie"]

    @property
    def text(self):
        return self.body.decode(errors="replace")

    def json(self):
        return json.loads(self.body)


class UnixConnection(http.client.HTTPConnection):
    """HTTP by a unix socket: the session API, or the admin's."""

    def __init__(self, path, timeout_s=TIMEOUT_S):
        super().__init__("localhost", timeout=timeout_s)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def request(ip, port, path, method="GET", host=None, form=None, headers=None, timeout_s=TIMEOUT_S):
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(ip, port, timeout=timeout_s)
    try:
        return exchange(connection, method, path, host, form, headers)
    finally:
        connection.close()


def exchange(connection, method, path, host=None, form=None, headers=None):
    headers = dict(headers or {})
    if host:
        headers["Host"] = host
    body = None
    if form is not None:
        body = urllib.parse.urlencode(form)
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    return Reply(response, response.read())


# -- DNS --

def dns_message(name, number, kind=1):
    labels = b"".join(bytes([len(p)]) + p.encode() for p in name.split("."))
    return struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", kind, 1)


def skip_name(message, at):
    while message[at]:
        if message[at] & 0xC0 == 0xC0:
            return at + 2
        at += 1 + message[at]
    return at + 1


def dns_parse(message, number):
    got, flags, questions, answers = struct.unpack(">HHHH", message[:8])
    if got != number or not flags & 0x8000:
        raise OSError("not the answer to this query")
    at, found = 12, []
    for _ in range(questions):
        at = skip_name(message, at) + 4
    for _ in range(answers):
        at = skip_name(message, at)
        kind, _, _, length = struct.unpack(">HHIH", message[at:at + 10])
        at += 10
        if kind == 1:
            found.append(socket.inet_ntoa(message[at:at + length]))
        at += length
    return flags & 15, found


def dns_query(ip, port, name, timeout_s=2.0):
    """(rcode, addresses)"""
    number = random.randrange(65536)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(timeout_s)
        s.connect((ip, port))
        s.send(dns_message(name, number))
        return dns_parse(s.recv(4096), number)


# -- a shopper --

class Lost(OSError):
    """No answer could be had: nobody can be reached, or the redirects went on for too long."""


class Shopper:
    """Resolves names at any of the name servers that answers, follows redirects, keeps one connection and the cookies."""

    def __init__(self, name_servers, dns_port=5300, common="http://www.shop.test:8080"):
        self.name_servers, self.dns_port, self.common = list(name_servers), dns_port, common
        self.cookie = self.login = self.connection = self.where = None
        self.base = common  # the server that we stay with
        self.sessions_begun = 0

    def resolve(self, name):
        for ip in random.sample(self.name_servers, len(self.name_servers)):
            try:
                rcode, found = dns_query(ip, self.dns_port, name, 1.0)
                if rcode == 0 and found:
                    return found
            except OSError:
                continue
        raise Lost(f"nobody knows where {name} is")

    def forget_server(self):
        """Back to the common name."""
        self.close()
        self.base = self.common

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = self.where = None

    def connect(self, authority):
        if self.where == authority:
            return
        self.close()
        host, _, port = authority.partition(":")
        error = None
        for ip in self.resolve(host):
            connection = http.client.HTTPConnection(ip, int(port or 80), timeout=TIMEOUT_S)
            try:
                connection.connect()
                self.connection, self.where = connection, authority
                return
            except OSError as e:
                error = e
                connection.close()
        raise Lost(f"{authority}: {error}")

    def take_cookie(self, reply):
        for cookie in reply.cookies:
            if cookie.startswith("sid="):
                self.cookie = cookie[4:].split(";")[0] or None
                self.sessions_begun += 1
            elif cookie.startswith("login="):
                self.login = cookie[6:].split(";")[0] or None

    def cookies(self):
        return "; ".join(f"{k}={v}" for k, v in (("sid", self.cookie), ("login", self.login)) if v)

    def ask(self, path, form=None, accept="application/json"):
        """The final answer. Raises OSError (Lost) or HTTPException when there is none."""
        url = self.base + path
        for _ in range(REDIRECTS_MAX):
            parts = urllib.parse.urlsplit(url)
            self.connect(parts.netloc)
            headers = {"Accept": accept}
            if self.cookies():
                headers["Cookie"] = self.cookies()
            target = parts.path + ("?" + parts.query if parts.query else "")
            try:
                reply = exchange(self.connection, "GET" if form is None else "POST", target, parts.netloc, form, headers)
            except (OSError, http.client.HTTPException):
                self.close()
                raise
            if reply.headers.get("connection", "").lower() == "close":
                self.close()
            self.take_cookie(reply)
            if reply.status in (303, 307, 308) and "location" in reply.headers:
                url = urllib.parse.urljoin(url, reply.headers["location"])
                form = None if reply.status == 303 else form
                continue
            self.base = f"{parts.scheme}://{parts.netloc}"
            return reply
        raise Lost(f"more than {REDIRECTS_MAX} redirects, at last to {url}")
