"""Hosts of one switch: each a network namespace with an address, all on a bridge in a namespace of its own, and what goes
wrong between them.

The test runs in a mount namespace of its own, where the names of the network namespaces are kept: when it and its
children have ended, however that came about, the kernel removes everything.
"""
import os
import pathlib
import shutil
import subprocess
import sys

SKIPPED = 77  # the exit status that CTest takes for it
INSIDE = "STEAD_SPLIT_INSIDE"
COMMAND_S = 20
HOSTS_MAX = 16


def run(*argv, text=None):
    done = subprocess.run([str(a) for a in argv], input=text, capture_output=True, text=True, timeout=COMMAND_S, check=False)
    if done.returncode != 0:
        raise OSError(f"{' '.join(map(str, argv))}: {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def skip(why):
    print(f"SKIPPED: {why}", flush=True)
    sys.exit(SKIPPED)


def enter():
    """Goes on in namespaces of its own, or skips the test."""
    if os.environ.get(INSIDE) == str(os.getpid()):
        os.makedirs("/run/netns", exist_ok=True)
        run("mount", "-t", "tmpfs", "tmpfs", "/run/netns")
        return
    if os.geteuid() != 0:
        skip("network namespaces need root")
    for tool in ("ip", "unshare", "nsenter", "mount", "iptables-legacy-restore"):
        if not shutil.which(tool):
            skip(f"there is no {tool} on this machine")
    new = ["unshare", "--mount", "--net", "--propagation", "private"]
    try:
        run(*new, "sh", "-c", "ip link add type veth && ip link add type bridge && echo '*filter\n:INPUT ACCEPT\n"
            "-A INPUT -m statistic --mode random --probability 0.5 -j DROP\nCOMMIT' | iptables-legacy-restore")
    except OSError as error:
        skip(f"this kernel has no network namespaces, or not with all that is needed: {error}")
    os.environ[INSIDE] = str(os.getpid())  # exec keeps it
    os.execvp(new[0], [*new, sys.executable, *sys.argv])


class Network:
    """with Network(names) as net: net.ip[name], net.inside(name) + argv ..."""

    def __init__(self, names):
        assert len(names) <= HOSTS_MAX
        self.names = list(names)
        self.ip = {name: f"10.77.0.{i}" for i, name in enumerate(names, 11)}
        self.switch = f"stead-{os.getpid()}-switch"
        self.blocked, self.loss = set(), 0.0

    def host(self, name):
        return f"stead-{os.getpid()}-{name}"

    def __enter__(self):
        try:
            self.make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def make(self):
        run("ip", "netns", "add", self.switch)
        run("ip", "-n", self.switch, "link", "add", "switch", "type", "bridge")
        run("ip", "-n", self.switch, "link", "set", "switch", "up")
        for name in self.names:
            host = self.host(name)
            run("ip", "netns", "add", host)
            run("ip", "-n", self.switch, "link", "add", f"to-{name}", "type", "veth", "peer", "name", "eth0", "netns", host)
            run("ip", "-n", self.switch, "link", "set", f"to-{name}", "master", "switch", "up")
            run("ip", "-n", host, "address", "add", f"{self.ip[name]}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                run("ip", "-n", host, "link", "set", device, "up")

    def __exit__(self, *_):
        for namespace in [*map(self.host, self.names), self.switch]:
            if pathlib.Path("/run/netns", namespace).exists():
                subprocess.run(["ip", "netns", "delete", namespace], timeout=COMMAND_S, check=False)

    def inside(self, name):
        return ["nsenter", f"--net=/run/netns/{self.host(name)}"]

    # -- faults: all at the receiver --

    def apply(self):
        for name in self.names:
            rules = [f"-A INPUT -s {self.ip[a]} -j DROP" for a, b in sorted(self.blocked) if b == name]
            if self.loss:
                rules.append(f"-A INPUT -i eth0 -m statistic --mode random --probability {self.loss} -j DROP")
            run(*self.inside(name), "iptables-legacy-restore", "-w", "10",
                text="\n".join(["*filter", ":INPUT ACCEPT [0:0]", *rules, "COMMIT", ""]))

    def cut(self, senders, receivers):
        """One way."""
        self.blocked |= {(a, b) for a in senders for b in receivers if a != b}
        self.apply()

    def split(self, one, other):
        self.blocked |= {(a, b) for a in other for b in one}
        self.cut(one, other)

    def lose(self, share):
        self.loss = share
        self.apply()

    def heal(self):
        self.blocked, self.loss = set(), 0.0
        self.apply()
