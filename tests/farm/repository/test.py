#!/usr/bin/env python3
"""A repository keeps what all others hold. All nodes end, by SIGTERM or a power cut, and start again: sessions are there, and
what was ended is not. The servers that held some die, and others go on from what the repository has. A damaged file is set aside.

usage: test.py --build DIR
"""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import ADMIN, check, eventually, options, request, scenario
from kept import ask, configure, fields, make, ready, wait_kept

SERVERS = ["s1", "s2", "s3", "s4"]
SECRET = "of-nobody-else-4711"


def configure_all(farm):
    """s5 is the repository."""
    configure(farm, ["s5", *SERVERS], {"s5": 'repository { age-max = "1h" }'}, ("s5", "s1", "s2"))


def begin(farm):
    """Sessions at all servers; some are changed, some are ended."""
    live, ended = {}, []
    for i in range(40):
        at = SERVERS[i % len(SERVERS)]
        number = make(farm, at, {"cart": f"{i}", "secret": SECRET})
        live[number] = {"cart": f"{i}", "secret": SECRET}
        if i % 4 == 0:
            status, record = ask(farm, SERVERS[(i + 1) % 4], "PATCH", f"/{number}", {"set": {"cart": f"changed {i}"}})
            check(status == 200, f"a change: {status} {record}")
            live[number]["cart"] = f"changed {i}"
        if i % 5 == 0:
            check(ask(farm, at, "DELETE", f"/{number}")[0] == 204, "an end")
            ended.append(number)
            del live[number]
    return live, ended


def all_there(farm, live, ended, *names):
    def good():
        for i, (number, want) in enumerate(live.items()):
            got = fields(farm, names[i % len(names)], number)
            check(got == want, f"{number} at {names[i % len(names)]}: {got}, not {want}")
        return True
    eventually(good, "all sessions are as they were")
    for number in ended:
        check(fields(farm, names[0], number) in (404, 410), "what was ended stays so")



def everybody_again(farm):
    farm.start()
    ready(farm, *farm.names)


def stopped_in_order(farm, live, ended):
    for name in (*SERVERS, "s5"):  # the repository last
        farm.term(name)
    everybody_again(farm)
    all_there(farm, live, ended, *SERVERS)


def power_cut(farm, live, ended):
    wait_kept(farm, "s5")
    for process in farm.nodes.values():
        process.send(9)
    for process in farm.nodes.values():
        process.end(9)
    everybody_again(farm)
    all_there(farm, live, ended, *SERVERS)
    check(farm.metric("s5", "stead_session_shelf_total") > 0, "they came from the file")


def found(farm, name, at):
    return farm.metric(name, f'stead_session_found_total{{at="{at}"}}')


def servers_die(farm, live, ended):
    """One and two die at once; three and four, which held nothing of theirs, resume all of it from the repository alone."""
    theirs = {}
    for i in range(20):
        theirs[make(farm, ("s1", "s2")[i % 2], {"cart": f"theirs {i}", "secret": SECRET})] = {"cart": f"theirs {i}", "secret": SECRET}
    before = [(found(farm, n, "repository"), found(farm, n, "node")) for n in ("s3", "s4")]
    for process in (farm.nodes["s1"], farm.nodes["s2"]):
        process.send(9)
    for name in ("s1", "s2"):
        farm.nodes[name].end(9)
    all_there(farm, theirs, [], "s3", "s4")
    after = [(found(farm, n, "repository"), found(farm, n, "node")) for n in ("s3", "s4")]
    for old, new in zip(before, after):
        check(new[0] > old[0] and new[1] == old[1], f"from the repository, and nowhere else: {before} {after}")
    live.update(theirs)
    all_there(farm, live, ended, "s3", "s4")
    farm.start("s1", "s2")
    ready(farm, *farm.names)


def sealed(farm):
    """Nothing can be read in the file."""
    text = (farm.run / "s5" / "repository").read_bytes()
    check(len(text) > 8192, "there is a file")
    check(SECRET.encode() not in text and b"purchase" not in text and b"cart" not in text, "all is sealed")
    check((farm.run / "s5" / "repository").stat().st_mode & 0o077 == 0, "its owner's only")


def restarts_alone(farm, live, ended):
    """What changed while it was away holds."""
    farm.kill("s5")
    number = next(iter(live))
    eventually(lambda: ask(farm, "s3", "PATCH", f"/{number}", {"set": {"cart": "while it was away"}})[0] == 200, "a change")
    live[number]["cart"] = "while it was away"
    gone = list(live)[-1]
    eventually(lambda: ask(farm, "s4", "DELETE", f"/{gone}")[0] == 204, "an end")
    ended.append(gone)
    del live[gone]
    farm.start("s5")
    ready(farm, *farm.names)
    all_there(farm, live, ended, "s5", *SERVERS)
    eventually(lambda: farm.metric("s5", "stead_session_shelved") == 0, "nothing waits on the shelf")


def damaged(farm, live, ended):
    farm.kill("s5")
    path = farm.run / "s5" / "repository"
    path.write_bytes(path.read_bytes()[:20000])
    farm.start("s5")
    ready(farm, *farm.names)
    check(re.search(r"repository-refused.*damaged", farm.log("s5").read_text()), "the log says so")
    check((farm.run / "s5" / "repository.damaged").exists(), "it is set aside")
    all_there(farm, live, ended, "s5", *SERVERS)
    wait_kept(farm, "s5")
    check(request(farm.ip("s5"), ADMIN, "/readyz").status == 200, "and it serves")


def main():
    args = options()
    with scenario(args.build, 19) as farm:
        configure_all(farm)
        farm.start()
        ready(farm, *farm.names)
        live, ended = begin(farm)
        wait_kept(farm, "s5")
        sealed(farm)
        for step in (servers_die, restarts_alone, power_cut, stopped_in_order, damaged):
            print(step.__name__, flush=True)
            step(farm, live, ended)


main()
