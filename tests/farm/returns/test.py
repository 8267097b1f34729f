#!/usr/bin/env python3
"""A client that comes back to the common name is led to the server that it had, while that one lives; and one whose
servers share no cookie domain is handed over with a token that is good once."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import check, eventually, options, scenario

WWW = "www.shop.test:8080"


def server_of(location):
    return location.removeprefix("http://").split(".", 1)[0]


def ask(farm, name, path="/", **headers):
    reply = farm.get(name, path, host=WWW, headers=headers)
    return reply, reply.headers.get("location", "")


def cookie_of(reply):
    line = reply.headers.get("set-cookie", "")
    check(line.startswith("stead=") and "HttpOnly" in line, f"the redirect sets a cookie: {line!r}")
    return line.split(";", 1)[0]


def returns(farm):
    reply, location = ask(farm, "s1")
    check(reply.status == 307, f"a redirect: {reply.status}")
    cookie, had = cookie_of(reply), server_of(location)
    for i in range(30):
        reply, location = ask(farm, farm.servers[i % 3], f"/page{i}", Cookie=cookie)
        check(location == f"http://{had}.shop.test:8080/page{i}", f"back to {had}, whatever node is asked: {location}")
    check(len({server_of(ask(farm, "s1")[1]) for _ in range(60)}) > 1, "who has no cookie goes anywhere")
    forged = cookie[:-1] + ("A" if cookie[-1] != "A" else "B")
    check(len({server_of(ask(farm, "s1", Cookie=forged)[1]) for _ in range(60)}) > 1, "a forged cookie is none")
    asked = next(s for s in farm.servers if s != had)
    farm.kill(had)
    eventually(lambda: farm.status_of(had, asked) == "down", f"{had} is down")
    reply, location = ask(farm, asked, Cookie=cookie)
    now = server_of(location)
    check(now != had, f"{had} is dead: {location}")
    check(server_of(ask(farm, asked, Cookie=cookie_of(reply))[1]) == now, "and from then on it is the new one")
    farm.start(had)
    farm.wait_ready(had)
    farm.wait_up(*farm.servers)


def handoff(farm):
    reply, location = ask(farm, "s1", "/buy?x=1", Cookie="sid=abc123; other=1")
    chosen, token = server_of(location), location.partition("stead-handoff=")[2]
    check(location.startswith(f"http://{chosen}.shop.test:8080/buy?x=1&stead-handoff=") and token, f"a token: {location}")
    check("abc123" not in location, "the cookie is not to be read in it")
    path = location.split(":8080", 1)[1]
    own = f"{chosen}.shop.test:8080"
    other = next(s for s in farm.servers if s != chosen)

    refused = farm.get(other, path, host=f"{other}.shop.test:8080")
    check(refused.status == 307 and "set-cookie" not in refused.headers, "another server does not take it")
    check(refused.headers["location"] == f"http://{other}.shop.test:8080/buy?x=1", "and the URL loses it")

    taken = farm.get(chosen, path, host=own)
    check(taken.status == 307 and taken.headers["location"] == f"http://{own}/buy?x=1", f"taken: {taken.headers}")
    check(taken.headers.get("set-cookie", "").startswith("sid=abc123; "), f"its own cookie: {taken.headers}")
    again = farm.get(chosen, path, host=own)
    check(again.status == 307 and "set-cookie" not in again.headers, "a token is good once")
    check(farm.metric(chosen, 'stead_director_handoffs_total{result="taken"}') == 1, "taken once is counted")
    check(farm.metric(chosen, 'stead_director_handoffs_total{result="refused"}') == 1, "and refused once")


def main():
    args = options()
    with scenario(args.build, 28) as farm:
        services = farm.dir / "services.conf"
        text = services.read_text().replace('policy = "least-users"', 'policy = "random"\n    handoff = {"sid"}')
        services.write_text(text)
        farm.started()
        returns(farm)
        handoff(farm)


main()
