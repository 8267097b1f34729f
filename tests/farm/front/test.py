#!/usr/bin/env python3
"""A front node that is director and name server only, before servers that are neither: the other shape of a farm."""
import pathlib
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from client import Shopper
from farm import DNS, check, eventually, options, scenario

WWW = "www.shop.test:8080"


def roles(farm):
    front = farm.ip("front")
    for _ in range(5):
        check(farm.dns("www.shop.test", "front") == (0, [front]), "the common name leads to the front node alone")
    for name in farm.servers:
        check(farm.dns(f"{name}.shop.test", "front") == (0, [farm.ip(name)]), f"{name} has its own address")
        with socket.socket() as s:
            check(s.connect_ex((farm.ip(name), DNS)) != 0, f"{name} is no name server")
    reply = farm.get("front", "/cart?x=y", method="POST", form={"sku": 1, "qty": 1}, host=WWW)
    check(reply.status == 307 and reply.headers["location"] in
          [f"http://{n}.shop.test:8080/cart?x=y" for n in farm.servers], f"the front redirects: {reply.headers}")
    check(farm.get("front", "/", host="s1.shop.test:8080").status == 421, "it stands in for nobody who is up")
    check(farm.status("front")["sessions"]["records"] == 0, "it keeps no records")
    done = farm.cli("pick", "--dns", f"{front}:{DNS}", f"http://{WWW}/")
    check(done.returncode == 0 and ".shop.test:8080" in done.stdout, f"stead pick: {done.stdout}{done.stderr}")


def failover(farm):
    shopper = Shopper([farm.ip("front")])
    check(shopper.ask("/cart", {"sku": 4, "qty": 2}).status == 200, "an item")
    victim = shopper.ask("/whoami.json").json()["server"]
    farm.kill(victim)

    def served():
        shopper.forget_server()
        reply = shopper.ask("/cart.json")
        return (reply.status == 200 and reply.json()["server"] != victim and
                [(i["sku"], i["qty"]) for i in reply.json()["items"]] == [(4, 2)])
    eventually(served, "the shopper goes on elsewhere")
    eventually(lambda: farm.dns(f"{victim}.shop.test", "front") == (0, [farm.ip("front")]),
               f"{victim}'s own name leads to its backup, the primary: the front")
    reply = farm.get("front", "/cart", host=f"{victim}.shop.test:8080")
    check(reply.status == 307, f"which leads on: {reply.status}")
    farm.start(victim)
    farm.wait_ready(victim)
    farm.wait_up(*farm.servers)


def front_away(farm):
    """Who is with a server stays there while the front node is away."""
    shopper = Shopper([farm.ip("front")])
    check(shopper.ask("/cart", {"sku": 4, "qty": 2}).status == 200, "an item")
    farm.kill("front")
    shopper_connection_lives = shopper.ask("/cart", {"sku": 4, "qty": 3})
    check(shopper_connection_lives.status == 200, "writes go on without the front")
    farm.start("front")
    farm.wait_ready("front")
    farm.wait_up(*farm.servers)
    shopper.forget_server()
    check(shopper.ask("/cart.json").json()["items"][0]["qty"] == 3, "and the front leads there again")


def main():
    args = options()
    with scenario(args.build, 24, "front") as farm:
        farm.started()
        roles(farm)
        failover(farm)
        front_away(farm)


main()
