#!/usr/bin/env python3
"""The farm changes while it runs: weights, URLs, servers and services come and go by any node, seen by the name server,
in redirects and in the roster; who is connected stays; changes outlive a power cut; a file is read again."""
import collections
import http.client
import json
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import PUBLIC, SHOP, check, eventually, options, scenario

WWW = "www.shop.test:8080"


def order(farm, asked, *words, status=0):
    done = farm.cli(*words, "--admin", f"unix:{farm.run / asked}/admin.sock")
    check(done.returncode == status, f"stead {words} by {asked}: {done.returncode} {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def config(farm, asked, word, *more):
    done = farm.cli("config", word, f"unix:{farm.run / asked}/admin.sock", *more)
    check(done.returncode == 0, f"stead config {word} of {asked}: {done.stderr}")
    return done.stdout


def servers(farm, asked, service="shop"):
    return {s["name"]: s for s in farm.roster(asked)["servers"] if s["service"] == service}


def everywhere(farm, what, probe):
    for asked in farm.names:
        eventually(lambda asked=asked: probe(asked), f"{what} as {asked} sees it")


def connected(farm, name, host=None):
    client = http.client.HTTPConnection(farm.ip(name), PUBLIC, timeout=10)
    client.connect()
    goes_on(client, name, host)
    return client


def goes_on(client, name, host=None):
    check(client.sock, f"the connection to {name} is still there")
    client.request("GET", "/whoami.json", headers={"Host": host or f"{name}.shop.test:8080"})
    reply = client.getresponse()
    reply.read()
    check(reply.status == 200, f"a client of {name}: {reply.status}")


def redirects(farm, asked, count, host=WWW):
    """How many of so many go where."""
    seen = collections.Counter()
    for _ in range(count):
        location = farm.get(asked, "/", host=host).headers.get("location", "none")
        seen[location.split("//")[-1].split(".")[0]] += 1
    return seen


def reweighed(farm):
    client = connected(farm, "s2")
    order(farm, "s1", "server", "weight", "http://s2.shop.test:8080", "0")
    everywhere(farm, "weight 0", lambda asked: servers(farm, asked)["s2"]["weight"] == 0)
    for asked in farm.names:
        check(redirects(farm, asked, 15)["s2"] == 0, f"{asked} sends nobody to weight 0")
        eventually(lambda asked=asked: farm.ip("s2") not in farm.dns("www.shop.test", asked)[1], "DNS heeds the weight")
    goes_on(client, "s2")
    text = order(farm, "s3", "service", "set", "shop", "policy=weighted")
    check(text.count("changed") == len(farm.names), f"a service is changed on all nodes: {text}")
    order(farm, "s3", "server", "weight", "s2", "300")
    everywhere(farm, "weight 300", lambda asked: servers(farm, asked)["s2"]["weight"] == 300)
    share = redirects(farm, "s1", 300)
    check(130 < share["s2"] < 230, f"three parts of five of 300: {share}")
    goes_on(client, "s2")
    return client


def urls_inherit(farm):
    order(farm, "s1", "server", "add", "shop", "http://alt.shop.test:8080", "--at", "s2")
    everywhere(farm, "two URLs", lambda asked: len(servers(farm, asked)["s2"]["urls"]) == 2)
    order(farm, "s1", "server", "set", "shop", "http://alt.shop.test:8080", "weight=40", "capacity=70")
    everywhere(farm, "the pair's weight", lambda asked: (servers(farm, asked)["s2"]["weight"],
                                                         servers(farm, asked)["s2"]["capacity"]) == (40, 70))
    connected(farm, "s2", "alt.shop.test:8080").close()
    order(farm, "s1", "maint", "http://alt.shop.test:8080")
    everywhere(farm, "the pair's state", lambda asked: servers(farm, asked)["s2"]["status"] == "maint")
    order(farm, "s1", "maint", "--off", "http://alt.shop.test:8080")
    farm.wait_up(*farm.servers)
    order(farm, "s3", "server", "remove", "shop", "http://alt.shop.test:8080")
    everywhere(farm, "one URL", lambda asked: len(servers(farm, asked)["s2"]["urls"]) == 1)


def removed_and_added(farm, client):
    order(farm, "s1", "service", "set", "shop", "mode=tunnel")
    tunnel = connected(farm, "s2")
    order(farm, "s1", "service", "set", "shop", "mode=http")
    goes_on(tunnel, "s2")
    order(farm, "s1", "server", "remove", "http://s2.shop.test:8080")
    everywhere(farm, "s2 is gone", lambda asked: "s2" not in servers(farm, asked))
    check(redirects(farm, "s1", 15)["s2"] == 0, "nobody is sent to it")
    goes_on(tunnel, "s2")
    client.request("GET", "/cart", headers={"Host": "s2.shop.test:8080"})
    reply = client.getresponse()
    reply.read()
    check(reply.status == 307 and reply.headers["location"] in [f"http://{n}.shop.test:8080/cart" for n in ("s1", "s3")],
          f"the next request of a client is led to another server: {reply.status}")
    reply = farm.get("s2", "/x?y", host="s2.shop.test:8080")
    check(reply.status == 307 and reply.headers["location"] in [f"http://{n}.shop.test:8080/x?y" for n in ("s1", "s3")],
          f"its URL leads back: {reply.status} {reply.headers}")
    text = order(farm, "s1", "server", "add", "shop", "http://s2.shop.test:8080", "--at", "s2", status=1)
    check("forward=ADDRESS:PORT" in text, f"a new server needs an address: {text}")
    order(farm, "s1", "server", "add", "shop", "http://s2.shop.test:8080", f"forward={farm.ip('s2')}:{SHOP}",
          "check.type=http", "check.path=/health", "weight=200", "--at", "s2")
    farm.wait_up(*farm.servers)
    everywhere(farm, "its user is counted", lambda asked: servers(farm, asked)["s2"]["users"] >= 1)
    share = redirects(farm, "s3", 200)
    check(60 < share["s2"] < 140, f"half of 200 is for the new one: {share}")
    goes_on(tunnel, "s2")
    goes_on(client, "s2")
    for connection in (client, tunnel):
        connection.close()


def guarded(farm):
    order(farm, "s1", "drain", "s2")
    order(farm, "s1", "drain", "s3")
    for name in ("s2", "s3"):
        everywhere(farm, "draining", lambda asked, name=name: servers(farm, asked)[name]["status"] == "draining")
    check("the last server that is up" in order(farm, "s2", "server", "remove", "http://s1.shop.test:8080", status=1),
          "the last one stays")
    check("s1" in servers(farm, "s3"), "a refusal changes nothing")
    order(farm, "s1", "undrain", "s2")
    order(farm, "s1", "undrain", "s3")
    farm.wait_up(*farm.servers)
    check("has no server with the URL" in order(farm, "s1", "server", "weight", "http://s9.shop.test", "7", status=1),
          "a URL that nobody has")
    check("did you mean 'weight'" in order(farm, "s1", "server", "set", "shop", "wieght=7", status=1), "a slip")


def another_service(farm):
    order(farm, "s2", "service", "add", "news", "name=news.shop.test", "url=http://news.shop.test:8080")
    text = order(farm, "s1", "server", "add", "news", "http://n3.shop.test:8080", f"forward={farm.ip('s3')}:{SHOP}",
                 "--at", "s3")
    check("s3: changed" in text, f"a server of it: {text}")
    everywhere(farm, "n3 is up", lambda asked: servers(farm, asked, "news").get("s3", {}).get("status") == "up")
    for asked in farm.names:
        check(redirects(farm, asked, 3, "news.shop.test:8080") == {"n3": 3}, f"{asked} leads to n3")
        eventually(lambda asked=asked: farm.dns("news.shop.test", asked) == (0, [farm.ip("s3")]), "its name")
    connected(farm, "s3", "n3.shop.test:8080").close()
    connected(farm, "s3").close()
    check("remove it first" in order(farm, "s3", "service", "remove", "news", "--at", "s3", status=1), "it is served")
    order(farm, "s2", "server", "remove", "news", "--at", "s3", "--force")
    order(farm, "s2", "service", "remove", "news")
    everywhere(farm, "news is gone", lambda asked: not servers(farm, asked, "news"))
    eventually(lambda: farm.dns("news.shop.test", "s1")[0] == 3, "its name too")


def kept(farm):
    order(farm, "s2", "server", "weight", "s1", "7")
    farm.kill("s1", ("node",))
    farm.start_node("s1")
    farm.wait_up(*farm.servers)
    everywhere(farm, "weight 7", lambda asked: servers(farm, asked)["s1"]["weight"] == 7)
    told = config(farm, "s1", "diff")
    check("server \"shop\": weight" in told and "- 100" in told and "+ 7" in told, f"the difference: {told}")
    check("weight = \"7\"" in config(farm, "s1", "show"), "what is in effect")
    shown = farm.dir / "shown.conf"
    shown.write_text(config(farm, "s1", "show"))
    check(farm.cli("check", "-c", shown).returncode == 0, "what is shown is a configuration")
    order(farm, "s2", "server", "weight", "s1", "100")
    order(farm, "s2", "service", "set", "shop", "policy=least-users")
    eventually(lambda: "as the file says" in config(farm, "s1", "diff"), "undone leaves no trace")
    check(not (farm.run / "s1/changes").exists(), "nor a file")


def edit(farm, name, *pairs):
    text = farm.conf(name).read_text()
    for old, new in pairs:
        check(old in text, f"{old} in {name}.conf")
        text = text.replace(old, new)
    farm.conf(name).write_text(text)


def read_again(farm):
    client = connected(farm, "s3")
    edit(farm, "s3", ("weight   = 100", "weight   = 55"), ("ttl = 5", "ttl = 9"),
         ('farm     = "shop"', 'farm     = "shop"\nworkers = 3\nlog-level = "debug"'))
    order(farm, "s3", "server", "set", "shop", "capacity=77", "--at", "s3")
    farm.nodes["s3"].send(signal.SIGHUP)
    everywhere(farm, "weight 55", lambda asked: servers(farm, asked)["s3"]["weight"] == 55)
    everywhere(farm, "an operator's change stays", lambda asked: servers(farm, asked)["s3"]["capacity"] == 77)
    told = order(farm, "s1", "reload", "s3")
    check("needs restart: workers" in told, f"what cannot be: {told}")
    told = json.loads(config(farm, "s3", "diff", "--json"))
    check([d["name"] for d in told["restart"]] == ["workers"] and [d["name"] for d in told["changes"]] == ["capacity"],
          f"the difference: {told}")
    check("needs-restart" in farm.log("s3").read_text(), "it is logged")
    edit(farm, "s3", ("weight   = 55", "weight   = lots"))
    told = order(farm, "s1", "reload", "s3", status=1)
    check("not a number" in told, f"a mistake: {told}")
    check(servers(farm, "s1")["s3"]["weight"] == 55, "a mistake changes nothing")
    edit(farm, "s3", ("weight   = lots", "weight   = 100"))
    order(farm, "s3", "reload")
    everywhere(farm, "weight 100", lambda asked: servers(farm, asked)["s3"]["weight"] == 100)
    goes_on(client, "s3")
    client.close()


def main():
    args = options()
    with scenario(args.build, 16) as farm:
        farm.started()
        client = reweighed(farm)
        urls_inherit(farm)
        removed_and_added(farm, client)
        guarded(farm)
        another_service(farm)
        kept(farm)
        read_again(farm)


main()
