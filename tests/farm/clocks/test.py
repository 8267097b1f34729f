#!/usr/bin/env python3
"""Clocks of the day that are wrong by a day: at one node of three before the public, which are led to, forwarded to, logged in
at and shopped at as ever; and at a repository that starts, which gives no record more life than it may have, and takes what
it cannot place in time for nothing.

usage: test.py --build DIR
Without faketime it is skipped (exit status 77). farm/split has such a node in a network that fails.
"""
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from client import Shopper, UnixConnection
from farm import PUBLIC, Farm, Process, check, eventually, json, options, scenario
from kept import ask, configure, fields, make, ready, wait_kept

DAY_S, TTL_S = 86400, 3600
COMMON = f"www.shop.test:{PUBLIC}"


class ClocksFarm(Farm):
    """ahead[name]: by so many days is the clock of that node's host ahead."""

    def __init__(self, *args):
        super().__init__(*args)
        self.ahead = {}
        self.library = subprocess.run(["faketime", "-f", "+1d", "printenv", "LD_PRELOAD"], capture_output=True, text=True,
                                      check=True).stdout.strip()

    def start_node(self, name):
        days = self.ahead.get(name)
        fake = {"LD_PRELOAD": self.library, "FAKETIME": f"{days:+d}d", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1",
                "ASAN_OPTIONS": "verify_asan_link_order=0"} if days else {}
        self.nodes[name] = Process([self.build / "stead", "run", "-c", self.conf(name)], self.log(name), env={**os.environ, **fake})


def api(farm, name, method, path, body=None, **headers):
    connection = UnixConnection(farm.run / f"{name}.sock")
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def public(farm, days):
    """s2 has another clock."""
    farm.ahead = {"s2": days}
    for name in farm.names:
        farm.start(name)
    farm.wait_ready()
    farm.wait_up(*farm.servers)
    date = farm.get("s2", "/", host=COMMON).headers["date"], farm.get("s1", "/", host=COMMON).headers["date"]
    check(date[0][:16] != date[1][:16], f"the clocks differ: {date}")
    for name in farm.servers:
        shopper = Shopper([farm.ip(name)])
        check(shopper.ask("/cart", {"sku": 4, "qty": 2}).status == 200, "an item")
        reply = farm.get(name, "/", host=COMMON)
        check(reply.status == 307, f"{name} leads on")
        cookie = reply.cookies[0].split(";")[0]
        for other in farm.servers:
            shopper.forget_server()
            shopper.name_servers = [farm.ip(other)]
            items = shopper.ask("/cart.json").json()["items"]
            check([(i["sku"], i["qty"]) for i in items] == [(4, 2)], f"begun by {name}, led by {other}: {items}")
            check(farm.get(other, "/", host=COMMON, headers={"Cookie": cookie}).status == 307, "a cookie of the other's time")
        reached = {farm.get(name, "/whoami.json", host=COMMON, headers={"User-Agent": "dumb"}).json()["server"] for _ in range(30)}
        check(reached == set(farm.servers), f"{name} forwards to all: {reached}")
        status, body = api(farm, name, "POST", "/v1/auth", {"user": "ann", "ttl": 1800})
        check(status == 201, f"a login at {name}: {status}")
        for other in farm.servers:
            status, _ = api(farm, other, "GET", "/v1/auth", Cookie=f"session={json.loads(body)['id']}")
            check(status == 200, f"a login at {name} is one at {other}: {status}")
    for name in farm.names:
        farm.term(name)


def restart_all(farm, days):
    wait_kept(farm, "s3")
    for process in farm.nodes.values():
        process.send(9)
    for process in farm.nodes.values():
        process.end(9)
    farm.ahead = {"s3": days}
    farm.start()
    ready(farm, *farm.names)


def repository(farm):
    """All nodes end, and the repository comes back with another clock."""
    configure(farm, ["s1", "s2", "s3"], {"s3": "repository { }"})
    farm.ahead = {}
    farm.start()
    ready(farm, *farm.names)
    live = {make(farm, "s1", {"cart": f"{i}"}): {"cart": f"{i}"} for i in range(20)}
    restart_all(farm, -1)
    for number, want in live.items():
        eventually(lambda number=number, want=want: fields(farm, "s1", number) == want, f"{number} is back")
        _, record = ask(farm, "s2", "GET", f"/{number}")
        check(0 < record["expires_in"] <= TTL_S, f"and lives no longer than it may: {record}")
    restart_all(farm, 1)
    for number in live:
        check(fields(farm, "s1", number) in (404, 410, 503), f"{number}: a day later it is over")
    made = make(farm, "s1", {"cart": "anew"})
    check(fields(farm, "s3", made) == {"cart": "anew"}, "the farm serves on")
    wait_kept(farm, "s3")


def main():
    args = options()
    if not shutil.which("faketime"):
        print("SKIPPED: there is no faketime")
        sys.exit(77)
    with scenario(args.build, 32, make=ClocksFarm) as farm:
        common = farm.dir / "services.conf"
        text = common.read_text().replace('affinity = "cookie"', 'affinity = "cookie" forward-when = {"user-agent:dumb"}')
        text = text.replace('"least-users"', '"random"')
        check("forward-when" in text and "random" in text, text)
        common.write_text(text)
        for days in (1, -1):
            public(farm, days)
        repository(farm)


main()
