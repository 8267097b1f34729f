"""A client that watches the roster, and keeps what it hears."""
import contextlib
import json
import socket

PATH = "/.well-known/stead/roster"


class Watcher:
    def __init__(self, ip, port, query="", headers=()):
        self.sock = socket.create_connection((ip, port), 30)
        lines = [f"GET {PATH}?format=sse{query} HTTP/1.1", "Host: anything", *headers, "", ""]
        self.sock.sendall("\r\n".join(lines).encode())
        self.sock.setblocking(False)
        self.bytes, self.at, self.head, self.ended = b"", 0, None, False
        self.events, self.servers, self.id = [], {}, ""

    def read(self):
        """Takes what has come, without waiting."""
        with contextlib.suppress(BlockingIOError):
            while not self.ended:
                more = self.sock.recv(1 << 16)
                self.ended = not more
                self.bytes += more
        if self.head is None and b"\r\n\r\n" in self.bytes:
            head, self.bytes = self.bytes.split(b"\r\n\r\n", 1)
            self.head = head.decode()
        while self.head is not None and b"\n\n" in self.bytes:
            event, self.bytes = self.bytes.split(b"\n\n", 1)
            self.take(event.decode())
        return self

    def take(self, text):
        fields = dict(line.split(": ", 1) for line in text.splitlines() if not line.startswith(":"))
        if "data" not in fields:
            return
        data, kind = json.loads(fields["data"]), fields["event"]
        self.events.append((kind, data))
        self.id = fields.get("id", self.id)
        if kind == "roster":
            self.servers = {}
        for server in data.get("servers", []):
            self.servers[server["name"], server["service"]] = server
        for gone in data.get("gone", []):
            del self.servers[gone["name"], gone["service"]]

    def status(self, name):
        return {n: s["status"] for (n, _), s in self.read().servers.items()}.get(name)

    def close(self):
        self.sock.close()
