#!/usr/bin/env python3
"""A member that lies and floods, and strangers who spray every port meanwhile: healthy nodes go on serving, memory and log
stay bounded, what is dropped is counted, and in the end nobody believes the lies.

usage: test.py --build DIR [--seconds 8] [--absurd] [--seed N]
"""
import contextlib
import hashlib
import pathlib
import random
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from client import UnixConnection, dns_message, dns_query, exchange, request
from farm import DNS, MESH, PUBLIC, Process, check, eventually, options, scenario

SPRAYED = 300         # frames a node of which each must be counted
CONNECTIONS = 200     # half-open ones held at a public listener
GROWTH_BYTES = 1 << 30  # of a node with sanitizers, which keep freed memory for a while
LOG_LINES = 3000      # a node, of the whole attack
KIND = "/v1/sessions/purchase"
DROPS = ("auth", "replay", "malformed", "stranger", "version", "limit")


def forged(chance):
    """A frame of this farm by its header, from a node or to one that may be there, sealed by nobody."""
    farm = hashlib.sha256(b"shop").digest()[:4]
    head = struct.pack(">BBH4sQQQQ", chance.choice((1, 1, 1, 2)), chance.choice((0, 0, 7)), 0, farm, chance.getrandbits(64),
                       chance.getrandbits(64), chance.choice((0, chance.getrandbits(64))), chance.getrandbits(40))
    return head + chance.randbytes(chance.choice((16, 17, 60, 1160)))


def dropped(farm, name):
    return sum(farm.metric(name, f'stead_mesh_dropped_total{{reason="{r}"}}') for r in DROPS)


def spray(farm, chance, name):
    """By a stranger, slowly enough that the kernel loses none: each is counted."""
    before = dropped(farm, name)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for i in range(SPRAYED):
            s.sendto(forged(chance) if i % 3 else chance.randbytes(chance.randrange(1, 1400)), (farm.ip(name), MESH))
            time.sleep(0.001)
    eventually(lambda: dropped(farm, name) >= before + SPRAYED, f"all that strangers sent to {name} is counted")


class Attack(threading.Thread):
    """Some thousand datagrams a second, at all nodes, until stopped."""

    def __init__(self, farm, seed):
        super().__init__(daemon=True)
        self.farm, self.chance, self.over = farm, random.Random(seed), threading.Event()

    def run(self):
        nodes, held = [self.farm.ip(n) for n in self.farm.names], []
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            while not self.over.is_set():
                time.sleep(0.01)  # so that the nodes, and not the machine, are what is tried
                ip = self.chance.choice(nodes)
                for _ in range(20):
                    self.send(s, forged(self.chance), (ip, MESH))
                    self.send(s, dns_message("www.shop.test", self.chance.randrange(65536)), (ip, DNS))
                if len(held) < CONNECTIONS:
                    with contextlib.suppress(OSError):
                        held.append(socket.create_connection((ip, PUBLIC), 1))
                        held[-1].sendall(b"GET /" + b"x" * self.chance.randrange(200))
        for one in held:
            one.close()

    @staticmethod
    def send(s, body, where):
        with contextlib.suppress(OSError):
            s.sendto(body, where)


def resident_bytes(process):
    with open(f"/proc/{process.pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * 4096


def served(farm, name):
    """Its own server, the farm's name, and the session API."""
    check(request(farm.ip(name), PUBLIC, "/health", host=f"{name}.shop.test:8080").status == 200, f"{name} forwards")
    rcode, found = dns_query(farm.ip(name), DNS, "www.shop.test", 5)
    check(rcode == 0 and found, f"{name} answers by DNS: {rcode} {found}")
    connection = UnixConnection(farm.run / f"{name}.sock")
    try:
        made = exchange(connection, "POST", KIND, headers={"Content-Length": "0"})
        check(made.status == 201, f"a session at {name}: {made.status} {made.text}")
    finally:
        connection.close()
    return True


def attacked(farm, args, chance):
    liar = Process([args.build / "tests" / "farm" / "flood_liar", f"127.0.{farm.block}.99", farm.ip("s1"),
                    farm.run / "farm.key", 600, *(["absurd"] if args.absurd else [])], farm.log("liar"))
    eventually(lambda: farm.metric("s1", "stead_mesh_peers") >= len(farm.names), "the liar is a member")
    attack = Attack(farm, chance.getrandbits(64))
    attack.start()
    end, rounds = time.monotonic() + args.seconds, 0
    while time.monotonic() < end or rounds < 3:
        for name in farm.names:
            eventually(lambda name=name: served(farm, name), f"{name} serves under attack")
        rounds += 1
    check(liar.runs(), "the liar lied until here")
    attack.over.set()
    attack.join()
    liar.end()
    print(f"served {rounds} rounds", flush=True)


def extra(parser):
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--absurd", action="store_true", help="lies that nobody can outdo, too")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))


def main():
    args = options(extra)
    print(f"seed {args.seed}", flush=True)
    chance = random.Random(args.seed)
    with scenario(args.build, 45) as farm:
        farm.started()
        for name in farm.names:
            spray(farm, chance, name)
        memory = {name: resident_bytes(farm.nodes[name]) for name in farm.names}
        lines = {name: farm.log(name).read_text().count("\n") for name in farm.names}
        attacked(farm, args, chance)
        for name in farm.names:
            check(farm.nodes[name].runs(), f"{name} still runs")
            counted = {m: farm.metric(name, m) for m in (
                'stead_mesh_dropped_total{reason="auth"}', 'stead_mesh_dropped_total{reason="replay"}',
                'stead_mesh_dropped_total{reason="version"}', 'stead_mesh_dropped_total{reason="malformed"}',
                "stead_member_malformed_total", "stead_session_malformed_total")}
            check(all(v > 0 for v in counted.values()), f"what {name} dropped is counted: {counted}")
            grown = resident_bytes(farm.nodes[name]) - memory[name]
            said = farm.log(name).read_text().count("\n") - lines[name]
            print(f"{name}: {grown >> 20} MiB more, {said} lines", flush=True)
            check(grown < GROWTH_BYTES, f"the memory of {name} grew by {grown}")
            check(said < LOG_LINES, f"{name} wrote {said} lines")
        farm.wait_up(*farm.names)
        for name in farm.names:
            eventually(lambda name=name: served(farm, name), f"{name} serves afterwards")
            for shown in farm.roster(name)["servers"]:
                check(shown["weight"] == 100 and shown["users"] < 1000, f"{name} believes no lie: {shown}")


main()
