#!/usr/bin/env python3
"""examples/php and examples/node, at two servers: a visitor goes on at the other one, also when the node where his
session began is dead. The part for Node.js takes its libraries from npm, and is left out where npm gives none."""
import http.client
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import SOURCE, Process, check, eventually, options, os, scenario

MEMCACHED, REDIS = 11211, 6379
PORTS = {"php-redis": 8101, "php-memcached": 8102, "node": 8103}


class Visitor:
    def __init__(self):
        self.cookie = None

    def visit(self, farm, name, port):
        connection = http.client.HTTPConnection(farm.ip(name), port, timeout=20)
        connection.request("GET", "/", headers={"Cookie": self.cookie} if self.cookie else {})
        reply = connection.getresponse()
        text = reply.read().decode()
        set_cookie = reply.getheader("Set-Cookie")
        connection.close()
        check(reply.status == 200, f"{name}:{port}: {reply.status} {text[:300]}")
        self.cookie = set_cookie.split(";")[0] if set_cookie else self.cookie
        return int(text)


def add_doors(farm):
    for name in farm.names:
        conf = farm.conf(name)
        conf.write_text(conf.read_text() + f"""
memcached {{ listen = "{farm.ip(name)}:{MEMCACHED}" }}
redis {{ listen = "{farm.ip(name)}:{REDIS}" }}
""")


def start_php(farm, name, handler):
    """The server that PHP has of its own, with the example's settings."""
    text = (SOURCE / "examples" / "php" / f"{handler}.ini").read_text()
    lines = [line for line in text.replace("127.0.0.1", farm.ip(name)).splitlines() if line and line[0] != ";"]
    settings = [part for line in lines for part in ("-d", line.replace(" = ", "="))]
    return Process(["php", *settings, "-S", f"{farm.ip(name)}:{PORTS['php-' + handler]}",
                    SOURCE / "examples" / "php" / "visits.php"], farm.run / f"php-{handler}-{name}.log")


def install_node(farm):
    """The example's folder with its libraries; None: npm gives none."""
    folder = farm.dir / "node"
    shutil.copytree(SOURCE / "examples" / "node", folder)
    if not shutil.which("npm"):
        return None
    done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--prefer-offline"], cwd=folder,
                          capture_output=True, text=True, timeout=120, check=False)
    return folder if done.returncode == 0 else None


def start_node(farm, name, folder):
    environment = {**os.environ, "HOST": farm.ip(name), "PORT": str(PORTS["node"]), "SECRET": "of the test",
                   "NODE": f"redis://{farm.ip(name)}:{REDIS}"}
    return Process(["node", folder / "visits.js"], farm.run / f"node-{name}.log", env=environment)


def main():
    args = options()
    with scenario(args.build, 41) as farm:
        add_doors(farm)
        farm.started()
        sites = []
        try:
            folder = install_node(farm)
            kinds = [k for k in PORTS if k != "node" or folder]
            if not folder:
                print("examples/node is left out: npm gives no libraries")
            for name in ("s1", "s2"):
                sites += [start_php(farm, name, handler) for handler in ("redis", "memcached")]
                sites += [start_node(farm, name, folder)] if folder else []
            visitors = {kind: Visitor() for kind in kinds}
            for kind, visitor in visitors.items():
                for name in ("s1", "s2"):
                    eventually(lambda name=name, kind=kind: Visitor().visit(farm, name, PORTS[kind]) == 1, f"{kind} at {name}")
                for count, name in enumerate(("s1", "s2", "s2", "s1"), 1):
                    check(visitor.visit(farm, name, PORTS[kind]) == count, f"visit {count} at {name}: {kind}")
            farm.kill("s1")
            for kind, visitor in visitors.items():
                count = eventually(lambda v=visitor, k=kind: v.visit(farm, "s2", PORTS[k]), f"{kind} while s1 is dead")
                check(count >= 5, f"{kind}: no visit is lost: {count}")
        finally:
            for site in sites:
                site.end()


main()
