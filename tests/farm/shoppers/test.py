#!/usr/bin/env python3
"""Many shoppers at once, while the servers are killed in turn at random moments and started again, or stand still for
a while: nothing that was acknowledged is lost, nothing that was taken out comes back.

Every answer carries the whole cart, so every answer is checked. A shopper names the version that it has seen
(optimistic locking), so that a write of its own that was given up cannot come through later and undo a newer one.

usage: test.py --build DIR [--seconds 40] [--shoppers 200] [--seed N] [--ways kill,term,node,shop,pause]
"""
import http.client
import pathlib
import random
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from client import Lost, Shopper
from farm import PUBLIC, Failed, check, eventually, options, request, scenario

SKUS = range(1, 13)
PAUSES_S = (0.5, 2, 5, 10)  # shorter and longer than a lease; long enough for others to claim and to forget it
WAYS = ("kill", "kill", "term", "term", "node", "shop", "pause", "pause")
GIVE_UP_S = 90  # for one change, after the farm is whole again


class Buyer(threading.Thread):
    def __init__(self, farm, number, seed, stop):
        super().__init__(daemon=True)
        self.client = Shopper([farm.ip(n) for n in farm.servers])
        self.random, self.number, self.stop_event = random.Random(f"{seed}/{number}"), number, stop
        self.cart = {}       # acknowledged
        self.version = None  # of the cart that was seen last
        self.acked = self.failures = self.conflicts = 0
        self.slowest_s = 0.0
        self.wrong = None

    def run(self):
        try:
            while not self.stop_event.is_set():
                self.change(self.random.choice(SKUS), self.random.choice((0, 0, 1, 2, 3, 7, 99)))
                time.sleep(self.random.uniform(0.2, 1.2))
        except Failed as error:
            self.wrong = f"shopper {self.number}: {error}"
        except Exception as error:  # a thread that dies silently would look like success
            self.wrong = f"shopper {self.number}: {error!r}"

    def change(self, sku, qty):
        """Tries until it is acknowledged."""
        began, maybe = time.monotonic(), {self.cart.get(sku, 0)}
        while True:
            check(time.monotonic() - began < GIVE_UP_S, f"item {sku} = {qty}: never acknowledged")
            had_session = self.client.cookie
            reply = self.attempt("/cart", self.form(sku, qty))
            # 421: the name still led to a stand-in of a server that is back; the client asks the name again.
            if reply is None or reply.status >= 500 or reply.status == 421:
                maybe.add(qty)
                self.failures += 1
                time.sleep(self.random.uniform(0.05, 0.5))
                self.look(sku, maybe)
                continue
            check(reply.status in (200, 409), f"status {reply.status}: {reply.text[:200]}")
            check(had_session is None or self.client.cookie == had_session, f"the session was lost: {reply.text[:200]}")
            self.see(reply, sku, {qty} if reply.status == 200 else maybe)
            if reply.status == 200:
                break
            self.conflicts += 1
        self.set(sku, qty)
        self.acked += 1
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)

    def form(self, sku, qty):
        form = {"sku": sku, "qty": qty}
        if self.client.cookie and self.version:
            form["version"] = self.version
        return form

    def set(self, sku, qty):
        self.cart[sku] = qty
        if not qty:
            del self.cart[sku]

    def attempt(self, path, form=None):
        """None when there was no answer; then the next try begins at the common name."""
        try:
            return self.client.ask(path, form)
        except (OSError, http.client.HTTPException):
            self.client.forget_server()
            return None

    def look(self, sku, maybe):
        """What became of an attempt that was not acknowledged."""
        self.client.forget_server()
        if self.client.cookie:
            reply = self.attempt("/cart.json")
            if reply is not None and reply.status == 200:
                self.see(reply, sku, maybe)

    def see(self, reply, sku, allowed):
        """The whole cart must be as it was acknowledged; the item in question one of `allowed`."""
        body = reply.json()
        seen = {i["sku"]: i["qty"] for i in body["items"]}
        got = seen.get(sku, 0)
        check(got in allowed, f"item {sku} is {got} at {body['server']}, it may be {allowed}; {reply.text[:300]}")
        want = {k: v for k, v in self.cart.items() if k != sku}
        seen.pop(sku, None)
        check(seen == want, f"at {body['server']} the cart is {seen}, acknowledged was {want} (besides item {sku})")
        check("version" in body, "the session is gone")
        self.version = body["version"]


def pause(farm, name, chance):
    """It does not run for a while and does not know it. Its shop goes on asking, or stands still as well."""
    still = farm.parts(name, chance.choice((["node"], ["node", "shop"])))
    for process in still:
        process.send(signal.SIGSTOP)
    time.sleep(chance.choice(PAUSES_S))
    for process in still:
        process.send(signal.SIGCONT)


def strike(farm, name, ways, chance):
    """One server goes away in one of the ways that servers do."""
    how = chance.choice(ways)
    if how == "kill":
        farm.kill(name)
    elif how == "term":
        farm.term(name)
    elif how == "pause":
        pause(farm, name, chance)
    else:
        farm.kill(name, [how])
    return how


def disturb(farm, seconds, ways, seed):
    chance, told, turn = random.Random(seed), [], 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(chance.uniform(0.5, 3))
        name = farm.servers[turn % len(farm.servers)]
        turn += 1
        how = strike(farm, name, ways, chance)
        time.sleep(chance.uniform(0, 4))
        farm.start(name)
        farm.wait_ready(*farm.names)
        told.append(f"{name}:{how}")
    return told


def settle(farm, buyers):
    """All copies equal: every server shows every cart as it was acknowledged."""
    for b in buyers:
        for name in farm.servers:
            def same(b=b, name=name):
                reply = request(farm.ip(name), PUBLIC, "/cart.json", host=f"{name}.shop.test:8080",
                                headers={"Cookie": f"sid={b.client.cookie}"})
                check(reply.status == 200, f"{name}: {reply.status}")
                seen = {i["sku"]: i["qty"] for i in reply.json()["items"]}
                if seen != b.cart:
                    b.wrong = f"shopper {b.number}, in the end at {name}: {seen}, acknowledged {b.cart}"
                return True
            eventually(same, f"the cart of shopper {b.number} at {name}")


def extra(parser):
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--shoppers", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--ways", type=lambda text: tuple(text.split(",")), default=WAYS)


def main():
    args = options(extra)
    print(f"seed {args.seed}", flush=True)
    threading.stack_size(256 * 1024)
    with scenario(args.build, 23) as farm:
        farm.started()
        stop = threading.Event()
        buyers = [Buyer(farm, i, args.seed, stop) for i in range(args.shoppers)]
        for b in buyers:
            b.start()
        try:
            told = disturb(farm, args.seconds, args.ways, args.seed)
        finally:
            stop.set()
        farm.wait_up(*farm.servers)
        for b in buyers:
            b.join(GIVE_UP_S + 10)
            if b.is_alive():
                b.wrong = b.wrong or f"shopper {b.number} hangs"
        if not any(b.wrong for b in buyers):
            settle(farm, buyers)
        print(f"struck {' '.join(told)}; {sum(b.acked for b in buyers)} changes acknowledged, "
              f"{sum(b.failures for b in buyers)} attempts failed, {sum(b.conflicts for b in buyers)} conflicts, "
              f"slowest change {max(b.slowest_s for b in buyers):.1f} s", flush=True)
        wrong = [b.wrong for b in buyers if b.wrong]
        check(not wrong, f"{len(wrong)} of {len(buyers)} shoppers:\n" + "\n".join(wrong[:10]))
        check(all(b.acked for b in buyers), "every shopper got something done")


__all__ = ["Lost"]
main()
