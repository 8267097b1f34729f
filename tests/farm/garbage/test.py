#!/usr/bin/env python3
"""Random and half-right bytes at every port: nothing dies, it is counted, and the farm goes on serving.

usage: test.py --build DIR [--seconds 8] [--seed N]
"""
import pathlib
import random
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from client import Shopper, dns_message
from farm import ADMIN, DNS, MESH, PUBLIC, SHOP, check, eventually, options, scenario

HEADS = (b"GET / HTTP/1.1\r\nHost: www.shop.test:8080\r\n\r\n", b"POST /cart HTTP/1.1\r\nHost: s1.shop.test:8080\r\n"
         b"Transfer-Encoding: chunked\r\n\r\n5\r\nsku=1\r\n0\r\n\r\n", b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n",
         b"PATCH /v1/sessions/purchase/aaaa HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\n{\"set\":{\"a\":\"b\"},\"delete\":[1]}")


def mutate(chance, good):
    """A good message with a few bytes changed, cut or doubled."""
    b = bytearray(good)
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(b)) if b else 0
        what = chance.randrange(4)
        if what == 0 and b:
            b[at] = chance.randrange(256)
        elif what == 1 and b:
            del b[at:at + chance.randrange(1, 8)]
        elif what == 2:
            b[at:at] = chance.randbytes(chance.randrange(1, 16))
        elif b:
            b[at:at] = b[at:at + 40]
    return bytes(b)


def udp(chance, where, good):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for _ in range(40):
            body = chance.randbytes(chance.choice((0, 1, 12, 40, 57, 300, 1200, 9000))) if chance.random() < 0.5 \
                else mutate(chance, good)
            try:
                s.sendto(body, where)
            except OSError:
                pass


def stream(chance, family, where, good):
    """Some connections at once, so that half-sent messages stay open for a while."""
    open_ones = []
    for _ in range(8):
        s = socket.socket(family, socket.SOCK_STREAM)
        s.settimeout(0.5)
        try:
            s.connect(where)
            s.sendall(chance.randbytes(chance.randrange(1, 3000)) if chance.random() < 0.4 else mutate(chance, good))
            if chance.random() < 0.3:
                s.shutdown(socket.SHUT_WR)
            if chance.random() < 0.3:
                s.recv(4096)
        except OSError:
            pass
        open_ones.append(s)
    for s in open_ones:
        if chance.random() < 0.3:  # a reset instead of an end
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        s.close()


def throw(farm, seconds, seed):
    chance, end = random.Random(seed), time.monotonic() + seconds
    ip = farm.ip("s1")
    query = dns_message("www.shop.test", 7)
    frame = b"\1\0\0\0" + b"\0" * 36 + b"x" * 60
    while time.monotonic() < end:
        udp(chance, (ip, MESH), frame)
        udp(chance, (ip, DNS), query)
        stream(chance, socket.AF_INET, (ip, DNS), len(query).to_bytes(2, "big") + query)
        for port in (PUBLIC, ADMIN, SHOP):
            stream(chance, socket.AF_INET, (ip, port), chance.choice(HEADS))
        for path in ("s1.sock", "s1/admin.sock"):
            stream(chance, socket.AF_UNIX, str(farm.run / path), chance.choice(HEADS))


def extra(parser):
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))


def main():
    args = options(extra)
    print(f"seed {args.seed}", flush=True)
    with scenario(args.build, 27) as farm:
        farm.started()
        shopper = Shopper([farm.ip("s2"), farm.ip("s3")])
        shopper.base = "http://s1.shop.test:8080"
        check(shopper.ask("/cart", {"sku": 3, "qty": 4}).status == 200, "an item")
        throw(farm, args.seconds, args.seed)
        for name in farm.names:
            check(farm.nodes[name].runs() and farm.shops[name].runs(), f"{name} still runs")
        counted = {
            "stead_dns_dropped_total": farm.metric("s1", "stead_dns_dropped_total"),
            "stead_dns_answers_total malformed": farm.metric("s1", 'stead_dns_answers_total{result="malformed"}'),
            "stead_http_bad_total": farm.metric("s1", "stead_http_bad_total"),
            "stead_mesh_dropped_total": farm.metric("s1", "stead_mesh_dropped_total"),
        }
        check(all(v > 0 for v in counted.values()), f"what was refused is counted: {counted}")
        farm.wait_up(*farm.servers)
        eventually(lambda: shopper.ask("/cart.json").json()["items"][0]["qty"] == 4, "the cart is as it was")
        eventually(lambda: shopper.ask("/cart", {"sku": 3, "qty": 5}).status == 200, "and can be changed")


main()
