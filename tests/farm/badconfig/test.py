#!/usr/bin/env python3
"""What is wrong is said in one sentence, with the place and what to do; 2 for the configuration, 1 for what is not
there or taken."""
import pathlib
import re
import socket
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import DNS, check, options, scenario

# what, what is replaced in s1.conf, by what, exit status of run and of check, what the sentence has
TEXTS = (
    ("an unknown setting", 'zone    = "rack1"', 'zome    = "rack1"', 2, r"s1\.conf:\d+: .*zome.*did you mean 'zone'"),
    ("an unknown section", "dns    {", "dsn    {", 2, r"s1\.conf:\d+: .*dsn"),
    ("a wrong address", '"127.0.BLOCK.11:8080"', '"nowhere:8080"', 2, r"s1\.conf:\d+: .*nowhere"),
    ("a number out of range", "weight   = 100", "weight   = 1000001", 2, r"s1\.conf:\d+: .*weight"),
    ("a word that is no choice", '"refuse"', '"perhaps"', 2, r"s1\.conf:\d+: .*refuse"),
    ("a duration without unit", 'interval = "1s"', 'interval = "fast"', 2, r"s1\.conf:\d+: .*interval"),
    ("a setting twice", 'farm     = "shop"', 'farm = "shop"\nfarm = "other"', 2, r"s1\.conf:\d+: .*farm"),
    ("nothing that is required", 'farm     = "shop"', "", 2, r"farm"),
    ("a missing include", "services.conf", "nothing.conf", 2, r"nothing\.conf"),
    ("no syntax at all", 'node "s1" {', 'node "s1" {{', 2, r"s1\.conf:\d+"),
    ("a variable of the environment", 'zone    = "rack1"', 'zone = "${HOME}"', 2, r"s1\.conf:\d+: \$\{"),
)


def run(farm):
    try:
        return subprocess.run([farm.build / "stead", "run", "-c", farm.conf("s1")], capture_output=True, text=True,
                              timeout=30, check=False)
    except subprocess.TimeoutExpired:
        return None


def said(done, status, pattern, what):
    check(done is not None, f"{what}: it runs all the same")
    check(done.returncode == status, f"{what}: exit status {done.returncode}, not {status}: {done.stderr}")
    first = done.stderr.strip().split("\n")[0]
    check(re.search(pattern, done.stderr), f"{what}: '{pattern}' is not in: {done.stderr}")
    check("\n" not in first and len(first) < 300, f"{what}: the sentence is long: {first}")


def texts(farm, good):
    for what, old, new, status, pattern in TEXTS:
        old = old.replace("BLOCK", str(farm.block))
        check(old in good, f"{what}: the example has changed")
        farm.conf("s1").write_text(good.replace(old, new, 1))
        for done in (run(farm), farm.cli("check", "-c", farm.conf("s1"))):
            said(done, status, pattern, what)
    farm.conf("s1").write_text(good)
    check(farm.cli("check", "-c", farm.conf("s1")).returncode == 0, "the example is good")
    said(farm.cli("run", "-c", farm.dir / "none.conf"), 2, r"none\.conf", "no configuration")
    check(farm.cli("walk").returncode == 2 and farm.cli("status", "--colour").returncode == 2, "wrong command lines")


def key(farm):
    path = farm.run / "farm.key"
    text = path.read_text()
    path.chmod(0o644)
    said(run(farm), 1, r"farm\.key.*chmod 600", "a key that others may read")
    path.chmod(0o600)
    path.write_text("xyz\n")
    said(run(farm), 1, r"farm\.key.*it is no key file", "a key that is none")
    path.unlink()
    said(run(farm), 1, r"farm\.key.*stead keygen", "no key")
    path.write_text(text)
    path.chmod(0o600)


def taken(farm, port, kind, pattern):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind((farm.ip("s1"), port))
        if kind == socket.SOCK_STREAM:
            s.listen()
        said(run(farm), 1, pattern, f"port {port} in use")


def main():
    args = options()
    with scenario(args.build, 26) as farm:
        texts(farm, farm.conf("s1").read_text())
        key(farm)
        taken(farm, 8080, socket.SOCK_STREAM, r"public: listen on 127\.0\.\d+\.11:8080: .*in use")
        taken(farm, DNS, socket.SOCK_DGRAM, r"dns: listen .*127\.0\.\d+\.11:5300: .*in use")
        taken(farm, DNS, socket.SOCK_STREAM, r"dns: listen .*127\.0\.\d+\.11:5300: .*in use")
        taken(farm, 7300, socket.SOCK_DGRAM, r"node: address 127\.0\.\d+\.11:7300: .*in use")
        taken(farm, 7380, socket.SOCK_STREAM, r"admin: listen on 127\.0\.\d+\.11:7380: .*in use")
        done = farm.cli("status", "-c", farm.conf("s1"))
        check(done.returncode == 1 and "is it running" in done.stderr, f"status of nobody: {done.stderr}")
        farm.start("s1", "s2")
        farm.wait_ready("s1", "s2")


main()
