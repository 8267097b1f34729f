#!/usr/bin/env python3
"""Ten nodes: a change in a server's number of users arrives in every node's roster, whether the application reports it
or a connection is forwarded. How long that took is told, and not judged: this machine may be busy.

usage: test.py --build DIR [--rounds N]
"""
import contextlib
import http.client
import json
import pathlib
import socket
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import ADMIN, PUBLIC, SHOP, WAIT_S, check, eventually, options, scenario

NODES = 10
CONF = """farm     = "counts"
key-file = "run/farm.key"
state    = "run/{name}"
include("services.conf")
node "{name}" {{
    address = "{ip}"
    join    = {{{join}}}
}}
server "shop" {{
    urls    = {{"http://{name}.shop.test:8080"}}
    forward = "{ip}:9000"
    users-from    = "{source}"
    users-max-age = "1h"
    check {{ type = "none" }}
}}
sessions {{ listen = "unix:run/{name}.sock" memory = "16m" }}
public {{ listen = "{ip}:8080" }}
admin  {{ listen = "{ip}:7380" }}
"""


class Api(http.client.HTTPConnection):
    """The session API's socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=15)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def configure(farm):
    """n1 reports; the others count what they forward."""
    for name in farm.names:
        farm.conf(name).unlink()
    farm.names = farm.servers = [f"n{i}" for i in range(1, NODES + 1)]
    for name in farm.names:
        join = ", ".join(f'"{farm.ip(n)}"' for n in farm.names[:3] if n != name)
        farm.conf(name).write_text(CONF.format(name=name, ip=farm.ip(name), join=join,
                                               source="report" if name == "n1" else "forward"))


class Server(threading.Thread):
    """A real server that keeps its clients."""

    def __init__(self, ip):
        super().__init__(daemon=True)
        self.listener = socket.create_server((ip, SHOP))
        self.clients = []
        self.start()

    def run(self):
        while True:
            client, _ = self.listener.accept()
            self.clients.append(client)
            threading.Thread(target=self.keep, args=(client,), daemon=True).start()

    def keep(self, client):
        with client, contextlib.suppress(OSError):
            while client.recv(4096):
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


class Watch:
    """Asks all nodes, again and again, on connections that stay."""

    def __init__(self, farm):
        self.asks = {n: http.client.HTTPConnection(farm.ip(n), ADMIN, timeout=15) for n in farm.names}

    def users(self, asked, name):
        connection = self.asks[asked]
        connection.request("GET", "/v1/roster")
        servers = json.loads(connection.getresponse().read())["servers"]
        return next((s["users"] for s in servers if s["name"] == name), None)

    def arrivals(self, name, users, began):
        """ms until each node has the number."""
        left, took = set(self.asks), []
        while left:
            for asked in sorted(left):
                if self.users(asked, name) == users:
                    took.append((time.monotonic() - began) * 1000)
                    left.discard(asked)
            check(time.monotonic() < began + WAIT_S, f"{name} has {users} users: {sorted(left)} do not know")
            time.sleep(0.002)
        return took


def tell(what, took):
    took = sorted(took)
    print(f"{what:<12} to each of {NODES} nodes: median {took[len(took) // 2]:.0f} ms, 95 % "
          f"{took[len(took) * 95 // 100]:.0f} ms, last {took[-1]:.0f} ms ({len(took)} arrivals)", flush=True)


def reported(farm, watch, rounds):
    took = []
    with contextlib.closing(Api(farm.run / "n1.sock")) as api:
        for i in range(1, rounds + 1):
            began = time.monotonic()
            api.request("PUT", "/v1/server/shop/report", json.dumps({"users": i}))
            reply = api.getresponse()
            check(reply.status == 200, f"a report: {reply.status} {reply.read()}")
            reply.read()
            took += watch.arrivals("n1", i, began)
    tell("a report", took)


def forwarded(farm, watch, rounds):
    came, went = [], []
    for _ in range(rounds):
        client = socket.create_connection((farm.ip("n2"), PUBLIC), 10)
        began = time.monotonic()
        client.sendall(b"GET / HTTP/1.1\r\nHost: n2.shop.test:8080\r\n\r\n")
        check(client.recv(4096).startswith(b"HTTP/1.1 200"), "a client of n2")
        came += watch.arrivals("n2", 1, began)
        began = time.monotonic()
        client.close()
        went += watch.arrivals("n2", 0, began)
    tell("a client", came)
    tell("its going", went)


def main():
    args = options(lambda p: p.add_argument("--rounds", type=int, default=10))
    with scenario(args.build, 13) as farm:
        configure(farm)
        Server(farm.ip("n2"))
        for name in farm.names:
            farm.start_node(name)
        for name in farm.names:
            eventually(lambda name=name: farm.ready(name), f"{name} is ready", 2 * WAIT_S)
        farm.wait_up(*farm.names)
        watch = Watch(farm)
        reported(farm, watch, args.rounds)
        forwarded(farm, watch, args.rounds)


main()
