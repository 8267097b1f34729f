#!/usr/bin/env python3
"""The roster as the outside sees it: its forms hold what docs/roster.schema.json says, watchers hear what happens while
nodes are killed, started and stopped, those that do not read harm nobody, and who may not ask is told nothing.

usage: test.py --build DIR [--slow N]   N: watchers that do not read; fewer where the limit of open files says so
"""
import pathlib
import resource
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import PUBLIC, SOURCE, Process, check, eventually, json, options, request, scenario
from schema import Schema
from watcher import PATH, Watcher

SCHEMA = Schema(json.loads((SOURCE / "docs" / "roster.schema.json").read_text()))
TOKEN = "correct-horse-battery"


def valid(value, what="roster"):
    wrong = SCHEMA.wrong(value, SCHEMA.definition(f"#/$defs/{what}"))
    check(not wrong, f"not as the schema says: {wrong[:5]}")
    return value


def configure(farm):
    """s1 is open, as private addresses are; s2 is coarse; s3 wants a token."""
    token = farm.run / "token"
    token.write_text(TOKEN + "\n")
    token.chmod(0o600)
    more = {"s1": 'outside = {"192.0.2.1:80"} cors = "https://shop.example" watchers = 6000',
            "s2": 'inside = {"10.0.0.0/8"} exposure = "coarse"',
            "s3": f'exposure = "authenticated" token-file = "{token}"'}
    for name, settings in more.items():
        text = farm.conf(name).read_text()
        text = text.replace('public { listen = "', f'public {{ {settings} listen = "', 1)
        check(settings in text, f"no public section in the configuration of {name}")
        farm.conf(name).write_text(text)


def forms(farm):
    whole = farm.get("s1", PATH)
    names = [s["name"] for s in valid(whole.json())["servers"]]
    check(names == sorted(farm.servers), f"the servers: {names}")
    check(all("users" in s and s["address"] for s in whole.json()["servers"]), "an open roster tells counts and addresses")
    lines = [line.split("\t") for line in farm.get("s1", f"{PATH}?format=text").text.splitlines()]
    check([(x[0], x[1], x[2]) for x in lines] == [(n, "shop", "up") for n in names], f"the lines: {lines}")
    check(all(len(x) == 11 for x in lines), "each line has all columns")
    seen, page = [], valid(farm.get("s1", f"{PATH}?limit=1").json())
    while True:
        seen += [s["name"] for s in page["servers"]]
        if "next" not in page:
            break
        page = valid(farm.get("s1", f"{PATH}?limit=1&after={page['next']}").json())
    check(seen == names, f"page by page: {seen}")
    check(farm.get("s1", f"{PATH}?service=nothing").json()["servers"] == [], "a service that is not there has no servers")
    check(farm.get("s1", f"{PATH}?limit=x").status == 400, "a limit that is no number")
    check(farm.get("s1", PATH, method="DELETE").status == 405, "only to be read")


def exposure(farm):
    for server in valid(farm.get("s2", PATH).json())["servers"]:
        check(not {"users", "capacity", "group_users"} & set(server), f"coarse, and yet: {server}")
        check(server["load"] in (None, 0, 250, 500, 750, 1000), f"load: {server['load']}")
    told = {name: farm.get(name, f"{PATH}?limit=1").json()["servers"][0] for name in ("s1", "s2")}
    check(told["s1"]["addresses"] == [f"{farm.ip('s1')}:{PUBLIC}"], f"an address for clients inside: {told['s1']}")
    check(told["s2"]["address"] == "192.0.2.1:80", f"an address for clients outside: {told['s2']}")
    denied = farm.get("s3", PATH)
    check(denied.status == 401 and "s1" not in denied.text, f"without the token: {denied.status}")
    check(farm.get("s3", PATH, headers={"Authorization": "Bearer " + TOKEN[:-1]}).status == 401, "a wrong token")
    known = farm.get("s3", PATH, headers={"Authorization": f"Bearer {TOKEN}"})
    check(known.status == 200 and len(valid(known.json())["servers"]) == 3, "with the token")
    stranger = Watcher(farm.ip("s3"), PUBLIC)
    eventually(lambda: "401" in (stranger.read().head or ""), "watching without the token is 401")
    stranger.close()
    page = {"Origin": "https://shop.example", "Access-Control-Request-Method": "GET"}
    check(farm.get("s1", PATH, headers=page).headers["access-control-allow-origin"] == page["Origin"], "its page may read")
    check(farm.get("s1", PATH, method="OPTIONS", headers=page).status == 204, "a preflight")
    page["Origin"] = "https://other.example"
    check("access-control-allow-origin" not in farm.get("s1", PATH, headers=page).headers, "another page may not")


def same(watcher, farm, name):
    """What was heard, put together, is what is told as a whole."""
    whole = {(s["name"], s["service"]): s for s in farm.get(name, PATH).json()["servers"]}
    return watcher.read().servers == whole


def watching(farm):
    watcher = Watcher(farm.ip("s1"), PUBLIC, "&service=shop&on=s1")
    eventually(lambda: watcher.read().events, "the whole roster comes first")
    check(watcher.events[0][0] == "roster", f"the first event: {watcher.events[0]}")
    gone = Watcher(farm.ip("s3"), PUBLIC, headers=[f"Authorization: Bearer {TOKEN}"])
    eventually(lambda: gone.read().events, "s3 tells the roster too")
    farm.kill("s3")
    eventually(lambda: watcher.status("s3") == "down", "s3 is down")
    eventually(lambda: gone.read().ended, "the watcher of a killed node hears its end")
    last = watcher.id
    farm.start("s3")
    eventually(lambda: watcher.status("s3") == "up", "s3 is up again")
    eventually(lambda: same(watcher, farm, "s1"), "what was heard is what is told")
    resumed = Watcher(farm.ip("s1"), PUBLIC, "&service=shop", [f"Last-Event-ID: {last}"])
    eventually(lambda: resumed.status("s3") == "up", "who comes back, to whichever worker, hears what he missed")
    check(resumed.events[0][0] == "change", f"and not everything: {resumed.events[0][0]}")
    check(farm.cli("drain", "-c", farm.conf("s2")).returncode == 0, "stead drain")
    eventually(lambda: watcher.status("s2") == "draining", "s2 drains")
    check(farm.cli("undrain", "-c", farm.conf("s2")).returncode == 0, "stead undrain")
    eventually(lambda: watcher.status("s2") == "up", "s2 is up again")
    for kind, data in watcher.events + resumed.events:
        valid(data, kind)
    check(farm.metric("s1", "stead_roster_watchers") == 2, "two watch")
    watcher.close()
    resumed.close()
    eventually(lambda: farm.metric("s1", "stead_roster_watchers") == 0, "nobody watches any more")


def command_line(farm):
    """stead roster --watch: lines, and events as JSON, through the death of a server and of the node that is asked."""
    runs = {}
    for name, more in (("lines", []), ("events", ["--json"])):
        log = farm.dir / f"watch.{name}.log"
        argv = [farm.build / "stead", "roster", "-c", farm.conf("s1"), "--watch", *more]
        runs[name] = Process(argv, log), log
    lines, events = (lambda name=name: runs[name][1].read_text() for name in runs)
    eventually(lambda: lines().count(" shop up users=") == 3, "three servers, three lines")
    farm.kill("s3")
    eventually(lambda: " s3 shop down (was " in lines(), "s3 is down")
    farm.kill("s1")
    eventually(lambda: "does not answer" in lines(), "s1 does not answer")
    farm.start("s1", "s3")
    eventually(lambda: "answers again" in lines() and
               " s3 shop up" in [line for line in lines().splitlines() if " s3 shop " in line][-1], "both are back")
    farm.wait_ready()
    farm.wait_up("s1", "s2", "s3")
    told = [json.loads(line) for line in events().splitlines() if line.startswith("{")]
    check([e.pop("event") for e in told] == ["roster"] + ["change"] * (len(told) - 1), "the whole, then changes")
    for i, event in enumerate(told):
        valid(event, "change" if i else "roster")
    for process, log in runs.values():
        check(process.end(signal.SIGINT) == 0, f"Ctrl-C ends it: {log.name}")
    check(farm.cli("roster", "--watch", "--admin", "127.0.0.1:1").returncode == 1, "nobody there")


def slow_watchers(farm, count):
    """They ask and never read, while the roster changes; the node serves all the same."""
    slow = [Watcher(farm.ip("s1"), PUBLIC) for _ in range(count)]
    eventually(lambda: farm.metric("s1", "stead_roster_watchers") >= count, "they watch")
    quick = Watcher(farm.ip("s2"), PUBLIC)
    for _ in range(3):
        farm.kill("s3")
        eventually(lambda: quick.status("s3") == "down", "s3 is down")
        farm.start("s3")
        eventually(lambda: quick.status("s3") == "up", "s3 is up again")
        check(farm.get("s1", PATH).status == 200, "the roster is told")
        check(farm.get("s1", "/", host="www.shop.test:8080").status == 307, "clients are led")
        check(farm.ready("s1"), "the administrator is answered")
    farm.wait_up("s1", "s2", "s3")
    late = [w for w in slow if not w.read().ended]
    check(late, "not all were closed")
    eventually(lambda: all(w.ended or w.status("s3") == "up" for w in late), "who reads at last learns how it is")
    for w in [quick, *slow]:
        w.close()


def one_more(farm):
    """Beyond the setting it is 503, and room again when one goes."""
    text = farm.conf("s1").read_text()
    farm.term("s1")
    farm.conf("s1").write_text(text.replace("watchers = 6000", "watchers = 2"))
    farm.start("s1")
    farm.wait_ready()
    watchers = [Watcher(farm.ip("s1"), PUBLIC) for _ in range(2)]
    eventually(lambda: all(w.read().events for w in watchers), "two may watch")
    refused = request(farm.ip("s1"), PUBLIC, f"{PATH}?format=sse")
    check(refused.status == 503 and int(refused.headers["retry-after"]) >= 1, f"one more: {refused.status}")
    watchers[0].close()
    eventually(lambda: farm.metric("s1", "stead_roster_watchers") == 1, "one goes")
    again = Watcher(farm.ip("s1"), PUBLIC)
    eventually(lambda: again.read().events, "and another may watch")
    for w in (*watchers, again):
        w.close()


def stopping(farm):
    """Who watches a node that is stopped hears that it drains, and then a clean end."""
    watcher = Watcher(farm.ip("s2"), PUBLIC)
    eventually(lambda: watcher.status("s2") == "up", "s2 tells of itself")
    farm.term("s2")
    eventually(lambda: watcher.read().ended, "the stream ends")
    check(watcher.status("s2") in ("draining", "left"), f"the last word of s2 on itself: {watcher.status('s2')}")
    check(watcher.bytes == b"", "no event is cut")
    watcher.close()


def main():
    args = options(lambda p: p.add_argument("--slow", type=int, default=300))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    slow = min(args.slow, hard // 7)  # a node keeps a sixth of its descriptors for them, less a reserve
    with scenario(args.build, 34) as farm:
        configure(farm)
        farm.started()
        forms(farm)
        exposure(farm)
        watching(farm)
        command_line(farm)
        slow_watchers(farm, slow)
        one_more(farm)
        stopping(farm)


main()
