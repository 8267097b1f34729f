#!/usr/bin/env python3
"""Six hosts and a network that fails: two cuts, a cut in one direction, frames lost at random, a node killed, one whose
configured peers are all gone, and one whose clocks are a day ahead. Afterwards rosters agree, and of the sessions nothing
that was acknowledged is missing, and nothing that was deleted is back.

usage: test.py --build DIR
Needs root, network namespaces and iptables-legacy; without them it is skipped (exit status 77).
"""
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import check, eventually, options, scenario
from hosts import HostsFarm
from net import Network, enter
from sessions import GONE, Sessions, both

NAMES = [f"n{i}" for i in range(1, 7)]
AHEAD = "n5"  # the node with other clocks
LATE = "n6"   # the node that is configured to join n1 and n2 only
AHEAD_S = 86400
SESSIONS = 16
ROUNDS_MAX = 3  # of what a busy machine may spoil
HEALED_S = 90
CONF = """farm     = "split"
key-file = "run/farm.key"
state    = "run/{name}"
node "{name}" {{
    address = "{ip}"
    join    = {{{join}}}
}}
service "shop" {{ name = "www.shop.test" url = "http://www.shop.test:8080" }}
server "shop" {{
    urls    = {{"http://{name}.shop.test:8080"}}
    forward = "{ip}:9000"
    check {{ type = "none" }}
}}
sessions {{
    listen = "unix:run/{name}.sock"
    memory = "32m"
    kind "purchase" {{ copies = 3 when-alone = "accept" }}
}}
public {{ listen = "{ip}:8080" }}
"""


def ahead():
    """What runs a command with its clocks a day ahead, and which clocks that are, as this machine can do it."""
    before, clocks = [], []
    shift = ["unshare", "--time", "--monotonic", str(AHEAD_S), "--boottime", str(AHEAD_S)]
    told = subprocess.run([*shift, "cat", "/proc/uptime"], capture_output=True, text=True, check=False).stdout
    uptime = float(pathlib.Path("/proc/uptime").read_text().split()[0])
    if told and float(told.split()[0]) > uptime + AHEAD_S / 2:
        before, clocks = shift, ["since the start"]
    if shutil.which("faketime"):
        library = subprocess.run(["faketime", "-f", "+1d", "printenv", "LD_PRELOAD"], capture_output=True, text=True,
                                 check=False).stdout.strip()
        if library:
            before = before + ["env", f"LD_PRELOAD={library}", "FAKETIME=+1d", "FAKETIME_DONT_FAKE_MONOTONIC=1",
                               "NO_FAKE_STAT=1", "ASAN_OPTIONS=verify_asan_link_order=0"]
            clocks.append("of the day")
    return before, clocks


class SplitFarm(HostsFarm):
    def __init__(self, where, net):
        super().__init__(where, net, NAMES, CONF, servers=NAMES)
        self.prefix, clocks = ahead()
        print(f"{AHEAD} is a day ahead by its clocks: {clocks or 'none, this machine cannot'}", flush=True)

    def joins(self, name):
        return NAMES[:2 if name == LATE else 3]

    def before(self, name):
        return self.prefix if name == AHEAD else []

    def all_metric(self, metric):
        return sum(self.metric(name, metric) for name in NAMES if self.nodes[name].runs())

    def agreed(self, *names):
        """These are up, and every node that runs says the same of everybody."""
        self.wait_up(*names)

        def same():
            told = {asked: sorted((s["name"], s["status"], s["weight"], s["zone"], str(s["urls"]))
                                  for s in self.roster(asked)["servers"]) for asked in names}
            first = told[names[0]]
            check(all(t == first for t in told.values()), f"{told}")
            return True
        eventually(same, "rosters agree")


def make_some(sessions):
    """Of every node, since those of before lie where the last cut left them."""
    for i in range(SESSIONS):
        eventually(lambda i=i: sessions.make(NAMES[i % len(NAMES)], {"cart": "tea", "draft": "old"}), "a session is made")


def make_sessions(farm):
    sessions = Sessions(lambda name: farm.run / f"{name}.sock")
    make_some(sessions)
    _, kept = sessions.call(AHEAD, "GET", f"/v1/sessions/purchase/{sessions.all[0].key}")
    check(80000 < kept["expires_in"] <= 86400, f"lives are the same for other clocks: {kept}")
    return sessions


def write_side(sessions, side, node, acked):
    """What one side of a cut does: a field of its own, twice; the first also deletes and ends."""
    for i, session in enumerate(sessions.all):
        for value in ("1", "2"):
            acked[i] = sessions.change(node, session, side, f"{side}-{value}") or acked[i]
        if i % 2 == 0 and side.startswith("one"):
            sessions.change(node, session, "draft", GONE)


def cut_in_two(farm, sessions, one, other, label):
    print(f"cut {label}: {one} | {other}", flush=True)
    make_some(sessions)
    farm.net.split(one, other)
    for asked, gone in [(a, g) for mine, theirs in ((one, other), (other, one)) for a in mine for g in theirs]:
        eventually(lambda asked=asked, gone=gone: farm.status_of(gone, asked) == "down", f"{gone} is down for {asked}")
    acked = {side: [False] * len(sessions.all) for side in ("one", "other")}
    both(lambda: write_side(sessions, f"one-{label}", one[0], acked["one"]),
         lambda: write_side(sessions, f"other-{label}", other[-1], acked["other"]))
    twice = sum(a and b for a, b in zip(acked["one"], acked["other"]))
    print(f"    acknowledged: {sum(acked['one'])} and {sum(acked['other'])}, on both sides {twice}", flush=True)
    check(sum(acked["one"]) > 0 and sum(acked["other"]) > 0, "both sides went on")
    if label == "half":
        check(twice > 0, "some sessions were changed on both sides")
        for session in sessions.all[:2]:
            sessions.end(one[0], session)
    farm.net.heal()
    farm.agreed(*NAMES)
    eventually(lambda: sessions.check_all(NAMES), f"sessions are whole after the cut {label}", HEALED_S)


def one_way(farm, sessions):
    """n4 is heard by all and hears nobody. Those who have no record with it go on; what others wrote, nobody knows."""
    others = [n for n in NAMES if n != "n4"]
    print("one way: n4 hears nobody", flush=True)
    farm.net.cut(others, ["n4"])
    eventually(lambda: farm.up("n4") == {"n4"}, "n4 hears nobody")
    done = [sessions.change("n1", session, "way", "1") for session in sessions.all[-SESSIONS:]]
    print(f"    acknowledged: {sum(done)} of {len(done)}", flush=True)
    check(any(done), "the others go on writing")
    farm.net.heal()
    farm.agreed(*NAMES)
    eventually(lambda: sessions.check_all(NAMES), "sessions are whole after one way", HEALED_S)


def losing(farm, sessions, share):
    """Nobody is counted out because of it. A node that did not run for a while spoils a round."""
    for attempt in range(ROUNDS_MAX):
        before = [farm.all_metric(f"stead_member_{m}_total") for m in ("counted_out", "pauses")]
        farm.net.lose(share)
        for round_ in range(3):
            for i, session in enumerate(sessions.all):
                sessions.change(NAMES[(i + round_) % len(NAMES)], session, "lossy", f"{share}-{round_}")
            for name in NAMES:
                check(farm.up(name) | {name} == set(NAMES) or attempt + 1 < ROUNDS_MAX, f"all are up for {name}")
        after = [farm.all_metric(f"stead_member_{m}_total") for m in ("counted_out", "pauses")]
        farm.net.heal()
        print(f"loss of {share}: counted out {before[0]} -> {after[0]}, pauses {before[1]} -> {after[1]}", flush=True)
        if after[0] == before[0]:
            break
        check(after[1] > before[1] and attempt + 1 < ROUNDS_MAX, "nobody is counted out for a loss that small")
    farm.agreed(*NAMES)
    eventually(lambda: sessions.check_all(NAMES), f"sessions are whole after loss of {share}", HEALED_S)


def mended(farm):
    """Every record has its owner and two more copies."""
    def good():
        bad = {m: farm.all_metric(f"stead_session_{m}") for m in ("below_copies", "orphans", "doubtful")}
        owned, copies = farm.all_metric("stead_session_owned_records"), farm.all_metric("stead_session_copies")
        check(not any(bad.values()) and copies == 2 * owned > 0, f"{bad}, {owned} owned, {copies} copies")
        return True
    eventually(good, "all have their copies", HEALED_S)


def deaths(farm, sessions):
    """n3 dies and is down everywhere; then all that LATE was told to join, and it finds the rest by what it kept."""
    left = list(NAMES)
    for name in ("n3", "n1", "n2"):
        mended(farm)
        print(f"{name} dies", flush=True)
        farm.kill(name)
        left.remove(name)
        for asked in left:
            eventually(lambda asked=asked, name=name: farm.status_of(name, asked) == "down", f"{name} is down for {asked}")
        farm.agreed(*left)
        eventually(lambda left=left: sessions.check_all(left), f"sessions are whole after {name} died", HEALED_S)
    mended(farm)
    kept = farm.run / LATE / "peers"
    eventually(lambda: farm.ip("n4") in kept.read_text(), "it keeps the addresses of the others on disk")
    print(f"{LATE} dies and comes back", flush=True)
    farm.kill(LATE)
    farm.start(LATE)
    farm.wait_ready(LATE)
    farm.agreed(*left)
    eventually(lambda: sessions.check_all(left), "sessions are whole in the end", HEALED_S)


def main():
    args = options()
    enter()
    with Network(NAMES) as net:
        with scenario(args.build, 35, make=lambda *where: SplitFarm(where, net)) as farm:
            farm.started()
            sessions = make_sessions(farm)
            cut_in_two(farm, sessions, ["n1", "n2", "n3"], ["n4", "n5", "n6"], "half")
            cut_in_two(farm, sessions, ["n2", "n5"], ["n1", "n3", "n4", "n6"], "third")
            one_way(farm, sessions)
            losing(farm, sessions, 0.01)
            losing(farm, sessions, 0.05)
            deaths(farm, sessions)


main()
