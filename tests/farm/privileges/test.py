#!/usr/bin/env python3
"""Started as root on a port below 1024, a node becomes another user with no capability; it serves, reads its file again
as far as that user may, says what it may not, and starts again on what it left."""
import os
import pathlib
import pwd
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import check, eventually, options, request, scenario

USER = pwd.getpwnam("nobody")
PORT = 80


def told(farm, name):
    """Of every thread."""
    found = set()
    for task in pathlib.Path(f"/proc/{farm.nodes[name].pid}/task").iterdir():
        text = (task / "status").read_text()
        found.add((re.search(r"^Uid:\t(\d+)\t(\d+)\t(\d+)", text, re.M).groups(),
                   *re.findall(r"^Cap(?:Inh|Prm|Eff|Amb):\t(\w+)", text, re.M)))
    return found


def order(farm, *words, status=0):
    done = farm.cli(*words, "--admin", f"unix:{farm.run}/s1/admin.sock")
    check(done.returncode == status, f"stead {words}: {done.returncode} {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def main():
    args = options()
    if os.geteuid() != 0:
        print("this is for root")
        sys.exit(77)
    with scenario(args.build, 17) as farm:
        os.chmod(farm.dir, 0o755)
        os.chmod(farm.run, 0o777)
        conf = farm.conf("s1")
        text = conf.read_text().replace('farm     = "shop"', 'farm     = "shop"\nuser = "nobody"')
        conf.write_text(text.replace(f'public {{ listen = "{farm.ip("s1")}:8080"', f'public {{ listen = "{farm.ip("s1")}:{PORT}"'))
        farm.started()
        nothing, ids = "0" * 16, (str(USER.pw_uid),) * 3
        check(told(farm, "s1") == {(ids, nothing, nothing, nothing, nothing)}, f"its threads: {told(farm, 's1')}")
        check(all(uids[0] == "0" for uids, *_ in told(farm, "s2")), "without `user` it stays")
        reply = request(farm.ip("s1"), PORT, "/", host="www.shop.test:8080")
        check(reply.status == 307, f"it serves: {reply.status}")
        check((farm.run / "s1").stat().st_uid == USER.pw_uid, "the state folder is the user's")
        order(farm, "server", "weight", "s1", "50")
        conf.write_text(conf.read_text().replace("capacity = 10000", "capacity = 77"))
        check("changed" in order(farm, "reload"), "it reads its file")
        conf.chmod(0o600)
        check("cannot be read" in order(farm, "reload", status=1), "it says what it may not read")
        conf.chmod(0o644)
        farm.term("s1", ("node",))
        farm.start_node("s1")
        farm.wait_up(*farm.servers)
        eventually(lambda: {s["name"]: (s["weight"], s["capacity"]) for s in farm.roster("s2")["servers"]}["s1"] == (50, 77),
                   "it goes on from its state folder")


main()
