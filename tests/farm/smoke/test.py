#!/usr/bin/env python3
"""What the farm does on a good day: names, redirects, roster, pick, a cart that is the same at every server."""
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from client import Shopper
from farm import DNS, PUBLIC, check, eventually, options, request, scenario

WWW = "www.shop.test:8080"


def names(farm):
    own = {farm.ip(n) for n in farm.servers}
    first = set()
    for _ in range(200):
        rcode, found = farm.dns("www.shop.test", "s1")
        check(rcode == 0 and set(found) == own and len(found) == 3, f"www.shop.test: {rcode} {found}")
        first.add(found[0])
        if first == own:
            break
    check(first == own, f"the order does not rotate: first was only {first}")
    for asked in farm.names:
        for name in farm.servers:
            check(farm.dns(f"{name}.shop.test", asked) == (0, [farm.ip(name)]), f"{name} as {asked} tells it")
    check(farm.dns("nobody.shop.test", "s1")[0] == 3, "an unknown name is NXDOMAIN")
    check(farm.dns("www.example.org", "s1")[0] == 5, "another zone is REFUSED")
    for client in ("dig", "kdig"):
        for transport in ("+notcp", "+tcp"):
            asked = subprocess.run([client, f"@{farm.ip('s1')}", "-p", str(DNS), transport, "+short", "www.shop.test"],
                                   capture_output=True, text=True, timeout=30, check=True)
            check(set(asked.stdout.split()) == own, f"{client} {transport}: {asked.stdout}")


def redirects(farm):
    for name in farm.servers:
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE"):
            reply = farm.get(name, "/some/path?a=1&b=%20c", method=method, host=WWW)
            location = reply.headers.get("location", "")
            check(reply.status == 307, f"{method} at {name}: {reply.status}")
            check(location in [f"http://{s}.shop.test:8080/some/path?a=1&b=%20c" for s in farm.servers], location)
        check(farm.get(name, "/", host="www.elsewhere.test:8080").status == 421, "a foreign Host is 421")
        check(farm.get(name, "/whoami.json", host=f"{name}.shop.test:8080").json()["server"] == name,
              f"behind the own name of {name} is its own server")
    other = farm.get("s1", "/", host="s2.shop.test:8080")
    check(other.status == 421, f"s2, which is up, at the door of s1: {other.status}")


def roster(farm):
    for name in farm.servers:
        reply = farm.get(name, "/.well-known/stead/roster", host="anything.test")
        servers = {s["name"]: s for s in reply.json()["servers"]}
        check(set(servers) == set(farm.servers), f"the roster at {name}: {set(servers)}")
        check(servers["s2"]["urls"] == ["http://s2.shop.test:8080"] and servers["s3"]["groups"] == ["green"],
              "what the roster says of s2 and s3")
        again = farm.get(name, "/.well-known/stead/roster", headers={"If-None-Match": reply.headers["etag"]})
        check(again.status in (200, 304), f"If-None-Match: {again.status}")


def command_line(farm):
    for verb in ("status", "roster"):
        for json_too in ([], ["--json"]):
            done = farm.cli(verb, *json_too, "-c", farm.conf("s1"))
            check(done.returncode == 0 and "s1" in done.stdout, f"stead {verb}: {done.stdout}{done.stderr}")
    urls = {f"http://{s}.shop.test:8080" for s in farm.servers}
    pick = ["pick", "--dns", f"{farm.ip('s1')}:{DNS}"]
    done = farm.cli(*pick, f"http://{WWW}/")
    check(done.returncode == 0 and done.stdout.strip().rstrip("/") in urls, f"stead pick: {done.stdout}{done.stderr}")
    green = farm.cli(*pick, "--group", "green", f"http://{WWW}/")
    check("s3.shop.test" in green.stdout, f"stead pick --group green: {green.stdout}{green.stderr}")
    none = farm.cli(*pick, "--group", "violet", f"http://{WWW}/")
    check(none.returncode == 1 and none.stderr, f"stead pick --group violet: {none.returncode}")


def curl(farm, *args):
    ips = ",".join(farm.ip(n) for n in farm.servers)
    resolve = ["--resolve", f"www.shop.test:{PUBLIC}:{ips}"]
    for name in farm.servers:
        resolve += ["--resolve", f"{name}.shop.test:{PUBLIC}:{farm.ip(name)}"]
    done = subprocess.run(["curl", "-sL", "--noproxy", "*", "-b", farm.run / "jar", "-c", farm.run / "jar", *resolve, *args],
                          capture_output=True, text=True, timeout=60, check=False)
    check(done.returncode == 0, f"curl {args}: {done.returncode} {done.stderr}")
    return done.stdout


def shopping_by_curl(farm):
    check('"sku":5' in curl(farm, "-d", "sku=5&qty=2", f"http://{WWW}/cart"), "an item is put into the cart")
    check('"user":"ann"' in curl(farm, "-d", "user=ann&password=ann", f"http://{WWW}/login"), "ann logs in")
    page = curl(farm, "-H", "Accept: text/html", f"http://{WWW}/cart")
    check("Stoneware teapot" in page and "Hello, ann" in page, "the cart's page")
    for _ in range(10):
        check('"qty":2' in curl(farm, f"http://{WWW}/cart.json"), "the cart, wherever curl is led")


def shopping(farm):
    shopper = Shopper([farm.ip(n) for n in farm.servers])
    check(shopper.ask("/cart", {"sku": 1, "qty": 3}).status == 200, "POST /cart")
    check(shopper.ask("/login", {"user": "bob", "password": "bob"}).status == 200, "POST /login")
    cookie = {"Cookie": f"sid={shopper.cookie}"}
    for name in farm.servers:
        cart = request(farm.ip(name), PUBLIC, "/cart.json", host=f"{name}.shop.test:8080", headers=cookie).json()
        check([(i["sku"], i["qty"]) for i in cart["items"]] == [(1, 3)] and cart["server"] == name,
              f"the cart at {name}: {cart}")
    address = {"name": "Bob <b>", "street": "1 Main Street", "zip": "89073", "city": "Ulm"}
    first, second = shopper.ask("/checkout", address), shopper.ask("/checkout", address)
    check(first.status == 200 and first.json()["order"] == second.json()["order"], "checked out twice, charged once")
    check(shopper.ask("/checkout", {"name": "Bob"}).json()["order"] == first.json()["order"], "no second order of nothing")
    check("Bob &lt;b&gt;" in shopper.ask("/order", accept="text/html").text, "what shoppers write is escaped")
    for form, status in (({"sku": 13, "qty": 1}, 400), ({"sku": 1, "qty": 100}, 400), ({"sku": 1, "qty": "x" * 20000}, 413)):
        check(shopper.ask("/cart", form).status == status, f"POST /cart {str(form)[:40]} is {status}")
    check(shopper.ask("/cart", {"sku": 2, "qty": 1}).status == 200, "POST /cart after an order")
    check(shopper.ask("/checkout", {"name": "Bob"}).status == 400, "half an address is a mistake")
    brief = shopper.ask("/checkout", {})
    check(brief.status == 200 and brief.json()["order"] != first.json()["order"], f"a script needs no address: {brief.text}")
    old, logged_in = shopper.cookies(), shopper.login
    for name in farm.servers:
        who = request(farm.ip(name), PUBLIC, "/whoami.json", host=f"{name}.shop.test:8080", headers={"Cookie": f"login={logged_in}"})
        check(who.json()["user"] == "bob", f"a login at one server is a login at {name}: {who.text}")
    check(shopper.ask("/logout", {}).status == 200, "POST /logout")
    for name in farm.servers:
        gone = request(farm.ip(name), PUBLIC, "/whoami.json", host=f"{name}.shop.test:8080", headers={"Cookie": old})
        check(gone.json() == {"server": name, "user": None, "items": 0}, f"after logging out: {gone.text}")
    eventually(lambda: sum(farm.status(n)["sessions"]["below_copies"] for n in farm.servers) == 0, "all copies are made")


def verify(farm):
    """All that is kept is equal wherever it is; where it is, the farm decides."""
    compared = 0
    for name in farm.servers:
        done = farm.cli("verify", "--json", "-c", farm.conf(name))
        check(done.returncode == 0, f"stead verify at {name}: {done.stderr}")
        found = json.loads(done.stdout)
        check(found["running"] is False and found["differing"] == [], f"{name}: {done.stdout}")
        compared += found["compared"]
        check(farm.status(name)["sessions"]["divergent"] == 0, f"the status of {name}")
    check(compared > 0, "somebody has something to compare")
    done = farm.cli("verify", "--repair", "-c", farm.conf("s1"))
    check("that were compared are equal" in done.stdout, done.stdout)


def log_out_everywhere(farm):
    """All sessions of a user end at every node, and nobody else's."""
    users = []
    for name, user in (("s1", "bob"), ("s2", "bob"), ("s3", "ann")):
        shopper = Shopper([farm.ip(name)])
        check(shopper.ask("/login", {"user": user, "password": user}).status == 200, f"{user} logs in")
        users.append((shopper, user))
    done = farm.cli("session", "end", "--user", "bob", "-c", farm.conf("s3"))
    check(done.returncode == 0 and "ended" in done.stdout, f"stead session end: {done.stdout} {done.stderr}")
    for shopper, user in users:
        found = shopper.ask("/whoami.json").json()["user"]
        check(found == (None if user == "bob" else user), f"{user} is logged in as {found}")
    check(farm.cli("session", "end", "-c", farm.conf("s3")).returncode == 2, "a user must be named")
    check(farm.cli("session", "end", "--user", "bob", "--kind", "x", "-c", farm.conf("s3")).returncode == 1, "no such kind")


def main():
    args = options()
    with scenario(args.build, 21) as farm:
        farm.started()
        names(farm)
        redirects(farm)
        roster(farm)
        command_line(farm)
        shopping_by_curl(farm)
        shopping(farm)
        verify(farm)
        log_out_everywhere(farm)
        for name in farm.names:
            farm.term(name)


main()
