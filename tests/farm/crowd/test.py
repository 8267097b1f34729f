#!/usr/bin/env python3
"""More clients than a node has descriptors crowd before its public door: it says so, and all other doors stay open: the
shop behind it is not taken for dead, its sessions can be changed, its name server and its administrator are answered.

usage: test.py --build DIR
"""
import contextlib
import http.client
import pathlib
import resource
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from client import Shopper
from farm import PUBLIC, check, eventually, options, scenario

DESCRIPTORS = 900  # of each node; and of this test, which has them from the same limit
CROWD = 500


class Gate(http.client.HTTPConnection):
    """The session API's socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=15)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def crowd_before(farm, stack):
    """Connections that say nothing. Those that the node cannot take are closed by it."""
    for _ in range(CROWD):
        s = stack.enter_context(socket.create_connection((farm.ip("s1"), PUBLIC), 15))
        s.setblocking(False)


def at_work(farm):
    check(farm.ready("s1"), "the administrator is answered")
    check(farm.dns("www.shop.test", "s1")[0] == 0, "the name server answers")
    gate = Gate(farm.run / "s1.sock")
    with contextlib.closing(gate):
        gate.request("POST", "/v1/sessions/purchase")
        check(gate.getresponse().status == 201, "the session API makes a session")


def main():
    args = options()
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    with scenario(args.build, 30) as farm:
        farm.started()
        with contextlib.ExitStack() as stack:
            crowd_before(farm, stack)
            eventually(lambda: farm.metric("s1", "stead_http_connections_refused_total") > 0, "refused clients are counted")
            for _ in range(30):  # more than the checks of the shop need to find it dead
                at_work(farm)
                check(farm.status_of("s1", "s2") == "up", "its server is up")
                check(farm.healthy("s1"), "the shop is well")
                time.sleep(0.2)
        check("server-unhealthy" not in farm.log("s1").read_text(), "its shop was never taken for dead")
        check("connections-refused" in farm.log("s1").read_text(), "it says that it refuses clients")
        eventually(lambda: farm.get("s1", "/", host="www.shop.test:8080").status == 307, "clients are taken again")
        shopper = Shopper([farm.ip("s1")])
        check(shopper.ask("/cart", {"sku": 3, "qty": 4}).status == 200, "and can buy")


main()
