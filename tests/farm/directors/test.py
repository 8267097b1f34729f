#!/usr/bin/env python3
"""Two directors before three servers: shares and capacities hold over both; a server that comes under load gets its share
and nobody moves for it; and real servers, hosts and directors are killed under load while failed requests are counted.

usage: test.py --build DIR
"""
import collections
import http.client
import itertools
import math
import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from client import Lost, Shopper
from farm import PUBLIC, Farm, check, eventually, options, scenario

WWW = "www.shop.test:8080"
DIRECTORS = ["d1", "d2"]
WEIGHTS = {"s1": 100, "s2": 200, "s3": 300}
CROWD = 12
BROKEN = (OSError, http.client.HTTPException)


class TwoDirectors(Farm):
    def __init__(self, build, block, example):
        super().__init__(build, block, example)
        self.names = [*DIRECTORS, *self.servers]
        text = self.conf("front").read_text()
        self.conf("front").unlink()
        for name in DIRECTORS:
            self.conf(name).write_text(text.replace("front", name).replace(f'"127.0.{self.block}.10"', f'"{self.ip(name)}"')
                                       .replace(f'"127.0.{self.block}.10:', f'"{self.ip(name)}:'))
        for name in self.servers:
            text = self.conf(name).read_text()
            self.conf(name).write_text(text.replace(f'"127.0.{self.block}.10"', ", ".join(f'"{self.ip(d)}"' for d in DIRECTORS))
                                       .replace("weight   = 100", f"weight   = {WEIGHTS[name]}")
                                       .replace('interval = "1s"', 'interval = "300ms"'))
        services = self.dir / "services.conf"
        services.write_text(services.read_text().replace('"least-users"', '"weighted"'))

    def ip(self, name):
        return f"127.0.{self.block}.{(20 if name[0] == 'd' else 10) + int(name[1:])}"


def order(farm, *words):
    done = farm.cli(*words, "--admin", f"unix:{farm.run / 'd1'}/admin.sock")
    check(done.returncode == 0, f"stead {words}: {done.returncode} {done.stdout}{done.stderr}")


def tuned(farm, **changes):
    """Of all servers, or of the service."""
    service = [f"{k}={v}" for k, v in changes.items() if k == "policy"]
    if service:
        order(farm, "service", "set", "shop", *service)
    for name, capacity in changes.get("capacity", {}).items():
        order(farm, "server", "set", f"http://{name}.shop.test:8080", f"capacity={capacity}")
    for asked in farm.names if "capacity" in changes else ():
        def known(asked=asked):
            found = {s["name"]: s.get("capacity") for s in farm.roster(asked)["servers"]}
            return all(found[n] == c for n, c in changes["capacity"].items())
        eventually(known, f"capacities as {asked} sees them")


def redirect(farm, director):
    """Whom a new client is sent to; None: nobody can take more."""
    reply = farm.get(director, "/whoami.json", host=WWW)
    if reply.status == 503:
        check("retry-after" in reply.headers, f"503 says when to come again: {reply.headers}")
        return None
    check(reply.status == 307, f"a redirect: {reply.status}")
    return reply.headers["location"].split("//")[1].split(".")[0]


def level(counts, total):
    """By weight, within four standard deviations."""
    whole = sum(WEIGHTS[n] for n in WEIGHTS)
    for name in WEIGHTS:
        part = WEIGHTS[name] / whole
        room = 4 * math.sqrt(total * part * (1 - part))
        check(abs(counts[name] - total * part) <= room, f"{name} has its share of {total}: {counts}")


def shares(farm):
    counts = collections.Counter(redirect(farm, d) for _, d in zip(range(600), itertools.cycle(DIRECTORS)))
    level(counts, 600)
    print(f"600 new clients of two directors: {dict(counts)}")


def stay(farm, name):
    client = http.client.HTTPConnection(farm.ip(name), PUBLIC, timeout=15)
    asked(client, name)
    return client


def asked(client, name):
    client.request("GET", "/whoami.json", headers={"Host": f"{name}.shop.test:8080"})
    reply = client.getresponse()
    reply.read()
    return reply.status


def capacities(farm):
    """Four crowds at once fill the servers by both directors, until nobody is taken any more."""
    caps = {"s1": 20, "s2": 40, "s3": 60}
    time.sleep(2.5)  # who was led and never came is forgotten: public { reserve }
    tuned(farm, policy="least-users", capacity=caps)
    held, lock = collections.defaultdict(list), threading.Lock()

    def fill(director):
        refused = 0
        while refused < 20:
            name = redirect(farm, director)
            refused = refused + 1 if name is None else 0
            if name is None:
                time.sleep(0.05)
                continue
            client = stay(farm, name)
            with lock:
                held[name].append(client)
            time.sleep(0.04)  # counts go round the farm in about 100 ms

    crowds = [threading.Thread(target=fill, args=(d,)) for d in DIRECTORS * 2]
    for crowd in crowds:
        crowd.start()
    for crowd in crowds:
        crowd.join(60)
        check(not crowd.is_alive(), "the servers are full in the end")
    counts = {n: len(held[n]) for n in WEIGHTS}
    print(f"capacities {caps}, filled by two directors at once: {counts}")
    for name, cap in caps.items():
        check(cap <= counts[name] <= cap * 1.25 + 2, f"{name} is filled to its capacity: {counts} of {caps}")
    # Who is in stays, and who goes makes room that both directors see.
    for name in WEIGHTS:
        check(all(asked(c, name) == 200 for c in held[name]), f"who is at {name} goes on")
    for client in held["s2"][15:]:
        client.close()
    for director in DIRECTORS:
        eventually(lambda director=director: redirect(farm, director) == "s2", f"{director} sends clients where there is room")
    for client in itertools.chain(*held.values()):
        client.close()
    tuned(farm, policy="weighted", capacity={n: 10000 for n in caps})
    for name in DIRECTORS:
        eventually(lambda name=name: all(s["users"] == 0 for s in farm.roster(name)["servers"]), "everybody is gone")


class Client(threading.Thread):
    """A shopper all the time. As a browser does, it repeats a request on a new connection when the kept one broke; all
    else is a failure."""

    def __init__(self, farm, failed):
        super().__init__(daemon=True)
        self.shopper = Shopper([farm.ip(d) for d in DIRECTORS])
        self.anew = False  # to the common name, as one who opens the page again
        self.done, self.failed, self.over, self.places, self.lost_cart = 0, failed, False, [], None
        self.fill()

    def fill(self):
        reply = self.shopper.ask("/cart.json", {"sku": 7, "qty": 3})
        check(reply.status == 200, f"an item: {reply.status}")

    def once(self):
        where = self.shopper.base
        try:
            return self.shopper.ask("/cart.json")
        except Lost as error:
            if "nobody knows" not in str(error):
                raise
            return self.shopper.ask("/cart.json")  # as a resolver asks again that heard nothing
        except BROKEN:
            if self.shopper.base != where:
                raise
            return self.shopper.ask("/cart.json")

    def run(self):
        while not self.over:
            if self.anew:
                self.anew = False
                self.shopper.forget_server()
            where = self.shopper.base
            try:
                reply = self.once()
                if reply.status == 200:
                    found = reply.json()
                    if [(i["sku"], i["qty"]) for i in found["items"]] != [(7, 3)]:
                        self.lost_cart = found
                    if not self.places or self.places[-1] != found["server"]:
                        self.places.append(found["server"])
                    self.done += 1
                else:
                    self.fail(where, reply.status)
            except BROKEN as error:
                self.fail(where, repr(error))
            time.sleep(0.01)

    def fail(self, where, what):
        self.failed.append((where, what))
        self.shopper.forget_server()
        time.sleep(0.05)


class Crowd:
    def __init__(self, farm, count=CROWD):
        self.failed = []  # of all of them, in order
        self.clients = [Client(farm, self.failed) for _ in range(count)]
        for client in self.clients:
            client.start()

    def all_go_on(self, more=5):
        before = [c.done for c in self.clients]
        eventually(lambda: all(c.done >= b + more for c, b in zip(self.clients, before)), "all clients are served")

    def at(self):
        return collections.Counter(c.places[-1] for c in self.clients if c.places)

    def event(self, what, act):
        """Does it, lets all go on, and returns what failed meanwhile."""
        self.all_go_on()
        before, done = len(self.failed), sum(c.done for c in self.clients)
        act()
        self.all_go_on()
        failed = self.failed[before:]
        print(f"{what}: {len(failed)} failed of {sum(c.done for c in self.clients) - done + len(failed)} requests of "
              f"{len(self.clients)} clients {failed[:3] if failed else ''}", flush=True)
        return failed

    def end(self):
        for client in self.clients:
            client.over = True
        for client in self.clients:
            client.join(60)
            check(not client.is_alive(), "a client ends")
            check(client.lost_cart is None, f"a cart is lost: {client.lost_cart}")
            client.shopper.close()


def known(farm, name, *statuses):
    for d in DIRECTORS:
        eventually(lambda d=d: farm.status_of(name, d) in statuses, f"{name} is {statuses} as {d} sees it")


def restart(farm, name):
    farm.start(name)
    farm.wait_ready(name)
    if name in farm.servers:
        known(farm, name, "up")


def kills(farm):
    crowd = Crowd(farm)

    there = []

    def server_killed():
        there.append(crowd.at()["s3"])
        farm.kill("s3", what=("shop",))
        known(farm, "s3", "suspect")
    failed = crowd.event("real server killed", server_killed)
    check(len(failed) <= there[0] and all(what == 502 for _, what in failed),
          f"at most one request of each of its {there[0]} clients, which was there already: {failed}")
    check(crowd.event("and back", lambda: restart(farm, "s3")) == [], "nothing fails when it is back")
    check(crowd.at()["s3"] == 0, f"nobody is led back amid his session: {crowd.at()}")

    victim = crowd.at().most_common(1)[0][0]
    before = {c for c in crowd.clients if c.places[-1] == victim}

    def host_killed():
        farm.kill(victim)
        known(farm, victim, "down")
    failed = crowd.event(f"host of {victim} killed", host_killed)
    check(all(f"{victim}." in str(f) or WWW in str(f) for f in failed), f"only its own {len(before)} clients notice: {failed}")
    check(crowd.event("and back", lambda: restart(farm, victim)) == [], "nothing fails once it is counted out, nor when it is back")

    for director in DIRECTORS:
        def director_killed(director=director):
            farm.kill(director)
            for client in crowd.clients[::2]:
                client.anew = True
        check(crowd.event(f"director {director} killed", director_killed) == [], "the other one answers")
        check(crowd.event("and back", lambda director=director: restart(farm, director)) == [], "and nothing fails when it is back")
    crowd.end()


def one_more_server(farm):
    """s1 goes in order under load, and comes back under load: new clients find it by its share."""
    crowd = Crowd(farm, 6)
    for name in ("s1",):
        check(crowd.event("a server leaves in order", lambda name=name: farm.term(name)) == [], "nothing fails when a server leaves")
        known(farm, name, "left", "")
    places = [c.places[-1] for c in crowd.clients]

    def comes():
        restart(farm, "s1")
        counts = collections.Counter(redirect(farm, d) for _, d in zip(range(600), itertools.cycle(DIRECTORS)))
        level(counts, 600)
        print(f"600 new clients of two directors: {dict(counts)}")
    check(crowd.event("a server is added", comes) == [], "nothing fails when a server is added")
    check([c.places[-1] for c in crowd.clients] == places, "who is at a server stays there")
    crowd.end()


def main():
    args = options()
    with scenario(args.build, 36, "front", TwoDirectors) as farm:
        farm.started()
        shares(farm)
        capacities(farm)
        kills(farm)
        one_more_server(farm)


main()
