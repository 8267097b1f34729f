#!/usr/bin/env python3
"""Orders to any node by way of another: drain with somebody connected, the last server that is up, maintenance over a
restart, and a node that is not there."""
import json
import pathlib
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import PUBLIC, check, eventually, options, scenario

WWW = "www.shop.test:8080"


def order(farm, asked, *words, status=0):
    done = farm.cli(*words, "--admin", f"unix:{farm.run / asked}/admin.sock")
    check(done.returncode == status, f"stead {words} by {asked}: {done.returncode} {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def seen(farm, name, status):
    """Everybody says so."""
    for asked in farm.names:
        if farm.nodes[asked].runs():
            eventually(lambda asked=asked: farm.status_of(name, asked) == status, f"{name} is {status} as {asked} sees it")


def nobody_is_sent_to(farm, *names):
    for asked in farm.names:
        if not farm.nodes[asked].runs():
            continue
        rcode, addresses = farm.dns("www.shop.test", asked)
        check(rcode == 0 and not {farm.ip(n) for n in names} & set(addresses), f"{asked} still names {names}: {addresses}")
        for _ in range(20):
            location = farm.get(asked, "/", host=WWW).headers.get("location", "")
            check(location and not [n for n in names if f"//{n}." in location], f"{asked} sends to {location}")


def connected(farm, name):
    """A client that stays: its connection is forwarded to the shop of `name`."""
    client = socket.create_connection((farm.ip(name), PUBLIC), 10)
    client.sendall(f"GET /whoami.json HTTP/1.1\r\nHost: {name}.shop.test:8080\r\n\r\n".encode())
    check(client.recv(4096).startswith(b"HTTP/1.1 200"), f"a client of {name}")
    return client


def drains(farm):
    client = connected(farm, "s2")
    eventually(lambda: json.loads(order(farm, "s1", "drain", "s2", "--json"))["users"] == 1, "s2 has a user")
    seen(farm, "s2", "draining")
    nobody_is_sent_to(farm, "s2")
    text = order(farm, "s3", "drain", "s2", "--wait", "-t", "1.5", status=1)
    check("1 users left" in text and "not safe after 1.5 s" in text, f"with somebody connected: {text}")
    client.sendall(b"GET /whoami.json HTTP/1.1\r\nHost: s2.shop.test:8080\r\n\r\n")
    check(client.recv(4096).startswith(b"HTTP/1.1 200"), "who is connected goes on")
    client.close()
    check("it is safe to stop" in order(farm, "s1", "drain", "s2", "--wait", "-t", "60"), "safe when he has gone")
    order(farm, "s2", "wait", "--safe")
    order(farm, "s2", "drain", "s3", "--wait", "-t", "60")  # two together
    seen(farm, "s3", "draining")
    nobody_is_sent_to(farm, "s2", "s3")
    check("the last server that is up" in order(farm, "s2", "drain", "s1", status=1), "the last one stays")
    check(farm.status_of("s1", "s3") == "up", "a refusal changes nothing")
    check("the last server that is up" in order(farm, "s2", "maint", "s1", status=1), "from maintenance too")
    check(farm.metric("s1", "stead_orders_total") >= 2, "the orders are counted")
    order(farm, "s2", "drain", "s1", "--force")
    seen(farm, "s1", "draining")
    for name in farm.servers:
        order(farm, "s1", "undrain", name)
    farm.wait_up(*farm.servers)


def maintenance(farm):
    told = json.loads(order(farm, "s3", "maint", "s2", "--json"))
    check(told["server"] == "s2" and told["maint"] is True, f"maint: {told}")
    seen(farm, "s2", "maint")
    nobody_is_sent_to(farm, "s2")
    for _ in range(2):
        reply = farm.get("s2", "/x?y", host="s2.shop.test:8080")
        check(reply.status == 307 and "//s2." not in reply.headers["location"], f"s2's own clients: {reply.headers}")
        check(farm.metric("s2", "stead_maint") == 1 and farm.status("s2")["maint"] is True, "s2 says so")
        check("maint" in farm.cli("wait", f"unix:{farm.run}/s2/admin.sock", "-t", "0").stderr, "it is not ready")
        farm.term("s2", ("node",))
        farm.start_node("s2")
        seen(farm, "s2", "maint")
    order(farm, "s1", "maint", "s2", "--off")
    farm.wait_up(*farm.servers)
    farm.term("s2", ("node",))
    farm.start_node("s2")
    farm.wait_up(*farm.servers)


def nobody_there(farm):
    check("has no node s9" in order(farm, "s1", "drain", "s9", status=1), "a name that nobody has")
    farm.kill("s3")
    seen(farm, "s3", "down")
    check("s3 is down" in order(farm, "s1", "drain", "s3", status=1), "one that is down")


def main():
    args = options()
    with scenario(args.build, 12) as farm:
        farm.started()
        drains(farm)
        maintenance(farm)
        nobody_there(farm)


main()
