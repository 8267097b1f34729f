#!/usr/bin/env python3
"""One node, one process, one machine: a second with the same state folder, name or identity is refused."""
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import Process, check, eventually, options, scenario


def refused(farm, text, what, pattern):
    """A node of this configuration ends with status 1 and says why."""
    conf = farm.dir / "second.conf"
    conf.write_text(text)
    log = farm.run / f"second-{what.replace(' ', '-')}.log"
    second = Process([farm.build / "stead", "run", "-c", conf], log)
    try:
        eventually(lambda: not second.runs(), f"{what}: the second node ends")
        status = second.end()
        check(status == 1, f"{what}: exit status {status}: {log.read_text()}")
        check(pattern in log.read_text(), f"{what}: '{pattern}' is not in: {log.read_text()}")
    finally:
        if second.runs():
            second.child.kill()
            second.child.wait()


def main():
    args = options()
    with scenario(args.build, 28) as farm:
        farm.started()
        s2 = farm.conf("s2").read_text()
        refused(farm, s2, "the same state", "another stead runs as this node")
        elsewhere = s2.replace(farm.ip("s2"), f"127.0.{farm.block}.14").replace("run/s2", "run/clone")
        (farm.run / "clone").mkdir(mode=0o700)
        refused(farm, elsewhere, "the same name", "the farm refuses node s2")
        shutil.rmtree(farm.run / "clone")
        shutil.copytree(farm.run / "s2", farm.run / "clone",
                        ignore=lambda folder, names: [n for n in names if n.endswith(".sock")])
        refused(farm, elsewhere.replace('node "s2"', 'node "s9"'), "the same identity", "the farm refuses node s9")
        farm.wait_up(*farm.servers)
        for name in farm.names:
            check(farm.nodes[name].runs(), f"{name} runs on")
        # Once the first is gone, its identity may live elsewhere: a machine was moved.
        farm.term("s2")
        moved = farm.dir / "s4.conf"
        moved.write_text(elsewhere)
        shutil.rmtree(farm.run / "clone")
        shutil.copytree(farm.run / "s2", farm.run / "clone",
                        ignore=lambda folder, names: [n for n in names if n.endswith(".sock")])
        farm.start_node("s4")
        eventually(lambda: farm.ready("s4"), "the moved node joins")


main()
