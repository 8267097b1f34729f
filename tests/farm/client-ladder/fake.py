"""A name server and nodes that do as they are told, and write down what a client does to them, in its order."""
import contextlib
import json
import socket
import struct
import threading
import time


class Book:
    """What happened, from everybody's view, in one order."""

    def __init__(self):
        self.lock, self.lines = threading.Lock(), []

    def write(self, *line):
        with self.lock:
            self.lines.append(line)

    def has(self, *line):
        with self.lock:
            return line in self.lines

    def since(self, start):
        with self.lock:
            return self.lines[start:]

    def length(self):
        with self.lock:
            return len(self.lines)


class Names(threading.Thread):
    """UDP; addresses by name; no AAAA. A name in `once` has these addresses in its next answer only."""

    def __init__(self, ip, book):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((ip, 0))
        self.at, self.book, self.addresses, self.once = "%s:%d" % self.socket.getsockname(), book, {}, {}
        self.start()

    def run(self):
        while True:
            query, peer = self.socket.recvfrom(2048)
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1:at + 1 + query[at]].decode())
                at += 1 + query[at]
            name, kind = ".".join(labels).lower(), struct.unpack(">H", query[at + 1:at + 3])[0]
            found = []
            if kind == 1:
                self.book.write("name", name)
                found = self.once.pop(name, None) or self.addresses.get(name, [])
            records = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 0, 4) + socket.inet_aton(a) for a in found)
            flags = 0x8400 | (0 if name in self.addresses else 3)
            self.socket.sendto(query[:2] + struct.pack(">HHHHH", flags, 1, len(found), 0, 0) + query[12:at + 5] + records,
                               peer)


class Node(threading.Thread):
    """At one port: the roster, its watchers, and clients, who are greeted and get back what they say in capitals."""

    def __init__(self, name, ip, port, book):
        super().__init__(daemon=True)
        self.name_, self.book = name, book
        self.roster, self.watchers, self.clients, self.event = {"servers": []}, [], [], 0
        self.drips = False
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((ip, port))
        self.listener.listen(16)
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        # Who asks for the roster speaks first, at once.
        connection.settimeout(1.5)
        try:
            head = connection.recv(4096)
        except TimeoutError:
            head = b""
        connection.settimeout(None)
        if not head.startswith(b"GET /.well-known/stead/roster"):
            self.talk(connection, head)
        elif b"Accept: text/event-stream" in head:
            self.book.write("watch", self.name_, head.split()[1].decode().partition("on=")[2])
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
            self.watchers.append(connection)
            self.tell("roster", self.roster)
        else:
            self.book.write("roster", self.name_)
            with contextlib.suppress(OSError):
                self.give_roster(connection)
            connection.close()

    def give_roster(self, connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while self.drips:
            connection.sendall(b"x")
            time.sleep(0.05)
        body = json.dumps(self.roster).encode()
        connection.sendall(b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def talk(self, connection, said):
        self.book.write("client", self.name_)
        self.clients.append(connection)
        connection.sendall(b"this is %s\n" % self.name_.encode())
        try:
            while True:
                if said:
                    self.book.write("said", self.name_, said.decode().strip())
                    connection.sendall(said.upper())
                said = connection.recv(4096)
                if not said:
                    break
        except OSError:
            pass
        self.book.write("closed", self.name_)
        connection.close()

    def send(self, data):
        for watcher in self.watchers:
            try:
                watcher.sendall(data)
            except OSError:
                pass

    def tell(self, event, data):
        self.event += 1
        self.send(f"event: {event}\nid: \"1-{self.event}\"\ndata: {json.dumps(data)}\n\n".encode())

    def drop_clients(self):
        for client in self.clients:
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.clients.clear()
