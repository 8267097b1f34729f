#!/usr/bin/env python3
"""A server goes away, in several manners; its shoppers go on elsewhere with cart and login as they were."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from client import Shopper
from farm import PUBLIC, check, eventually, options, request, scenario

CART = [(1, 3), (5, 2)]


def items(reply):
    check(reply.status == 200, f"{reply.status}: {reply.text[:200]}")
    return [(i["sku"], i["qty"]) for i in reply.json()["items"]]


def shopper_on(farm, server):
    """With a cart and a login, on that server."""
    s = Shopper([farm.ip(n) for n in farm.servers])
    s.base = f"http://{server}.shop.test:8080"
    for sku, qty in CART:
        check(s.ask("/cart", {"sku": sku, "qty": qty}).status == 200, f"item {sku} at {server}")
    check(s.ask("/cart", {"sku": 7, "qty": 1}).status == 200, "an item that is taken out again")
    check(items(s.ask("/cart", {"sku": 7, "qty": 0})) == CART, "it is out")
    check(s.ask("/login", {"user": "ann", "password": "ann"}).status == 200, f"login at {server}")
    check(s.ask("/whoami.json").json() == {"server": server, "user": "ann", "items": 5}, f"on {server}")
    return s


def as_it_was(shopper, server):
    """By the common name: on another server, with everything."""
    shopper.forget_server()
    who = shopper.ask("/whoami.json")
    check(who.status == 200, f"whoami: {who.status} {who.text[:200]}")
    check(who.json()["server"] != server and who.json()["user"] == "ann", f"elsewhere: {who.text}")
    check(items(shopper.ask("/cart.json")) == CART, "the cart is as it was")
    return True


def gone(farm, server):
    """What everybody else says of a server that is gone."""
    others = [n for n in farm.servers if n != server]
    for asked in others:
        eventually(lambda asked=asked: set(farm.dns("www.shop.test", asked)[1]) == {farm.ip(n) for n in others},
                   f"the common name at {asked} leads past {server}")
        eventually(lambda asked=asked: set(farm.dns(f"{server}.shop.test", asked)[1]) <= {farm.ip(n) for n in others}
                   and farm.dns(f"{server}.shop.test", asked)[1], f"{server}'s own name at {asked} leads to its backup")
        reply = farm.get(asked, "/cart?x=1", host=f"{server}.shop.test:8080", method="POST", form={"sku": 1, "qty": 1})
        check(reply.status == 307 and reply.headers["location"] in [f"http://{n}.shop.test:8080/cart?x=1" for n in others],
              f"{server}'s name at {asked}: {reply.status} {reply.headers.get('location')}")


def back(farm, server):
    farm.start(server)
    farm.wait_ready(server)
    farm.wait_up(*farm.servers)
    for asked in farm.servers:
        eventually(lambda asked=asked: farm.dns(f"{server}.shop.test", asked) == (0, [farm.ip(server)]), "its name is its own")


def power_cut(farm):
    shopper = shopper_on(farm, "s2")
    farm.kill("s2")
    eventually(lambda: as_it_was(shopper, "s2"), "the shopper goes on elsewhere")
    gone(farm, "s2")
    # With the old address bar: the name leads to the backup, the backup leads on.
    shopper.close()
    shopper.base = "http://s2.shop.test:8080"
    check(items(shopper.ask("/cart.json")) == CART, "by the old server's own name")
    back(farm, "s2")
    as_it_was(shopper, "nobody")


def shop_alone(farm):
    """Only the application dies: its node sends the shoppers on."""
    shopper = shopper_on(farm, "s2")
    farm.kill("s2", ["shop"])

    def served():
        reply = shopper.ask("/cart.json")  # follows at most a handful of redirects
        return reply.status == 200 and reply.json()["server"] != "s2" and items(reply) == CART
    eventually(served, "the shopper goes on elsewhere, by the same URL")
    eventually(lambda: farm.status_of("s2", "s1") not in ("up", ""), "the roster says so")
    eventually(lambda: farm.ip("s2") not in farm.dns("www.shop.test", "s1")[1], "the name leads past it")
    shopper.forget_server()
    check(items(shopper.ask("/cart.json")) == CART, "by the common name")
    back(farm, "s2")


def node_alone(farm):
    """Only the node dies: nobody gets to its shop by a name any more."""
    shopper = shopper_on(farm, "s3")
    farm.kill("s3", ["node"])
    eventually(lambda: as_it_was(shopper, "s3"), "the shopper goes on elsewhere")
    check(request(farm.ip("s3"), 9000, "/health").status == 503, "a shop without its node says that it is ill")
    back(farm, "s3")


def in_order(farm):
    """SIGTERM: sessions are handed over; nobody has to wait until the node is counted out."""
    shopper = shopper_on(farm, "s1")
    farm.term("s1")
    eventually(lambda: as_it_was(shopper, "s1"), "the shopper goes on elsewhere")
    eventually(lambda: farm.status_of("s1", "s2") in ("left", ""), "s1 has left")
    back(farm, "s1")


def alone(farm):
    """With nobody to hold a second copy, the shop says no; what was there can still be read."""
    shopper = shopper_on(farm, "s1")
    farm.kill("s2")
    farm.kill("s3")

    def refused():
        reply = shopper.ask("/cart", {"sku": 2, "qty": 1})
        check(reply.status in (200, 503), f"alone: {reply.status}")
        return reply.status == 503 and "retry-after" in reply.headers
    eventually(refused, "a write that cannot be kept safe is refused")
    page = shopper.ask("/cart", {"sku": 2, "qty": 1}, accept="text/html")
    check(page.status == 503 and "safe" in page.text, f"and the page says so: {page.text[-600:]}")
    farm.start("s2", "s3")
    farm.wait_ready("s1", "s2", "s3")
    eventually(lambda: shopper.ask("/cart", {"sku": 2, "qty": 0}).status == 200, "writes are taken again")
    check(items(shopper.ask("/cart.json")) == CART, "and the cart is what was acknowledged")


def main():
    args = options()
    with scenario(args.build, 22) as farm:
        farm.started()
        for step in (power_cut, shop_alone, node_alone, in_order, alone):
            print(step.__name__, flush=True)
            step(farm)
        check(farm.get("s1", "/", host="www.shop.test:8080").status == 307 and PUBLIC, "the farm is well")


main()
