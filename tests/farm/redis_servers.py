"""Servers of Redis for a scenario, each with a folder of its own; they end with the test."""
import os
import subprocess
import sys

import redis
from farm import Process, check, eventually

PORT = 6390


class Server:
    def __init__(self, farm, name, ip, conf=""):
        self.name, self.ip, self.password = name, ip, None
        self.dir = farm.run / name
        self.dir.mkdir()
        self.log = farm.run / f"{name}.redis.log"
        (self.dir / "conf").write_text(f"port {PORT}\nbind {ip}\ndir {self.dir}\n{conf}\n")
        self.process = None

    def start(self):
        self.process = Process(["redis-server", self.dir / "conf"], self.log)
        eventually(self.answers, f"{self.name} answers")
        return self

    def answers(self):
        try:
            return self.client().ping()
        except redis.exceptions.RedisError:
            return False

    def client(self, **more):
        return redis.Redis(self.ip, PORT, password=self.password, socket_timeout=10, **more)

    def kill(self):
        self.process.end(9)

    def files(self):
        """All that it has on disk."""
        return b"".join(p.read_bytes() for p in sorted(self.dir.rglob("*")) if p.is_file() and p.name != "conf")


class Monitor:
    """What comes to a server, word for word, until it ends."""

    def __init__(self, farm, server):
        self.path = farm.run / f"{server.name}.monitor"
        argv = ["redis-cli", "-h", server.ip, "-p", str(PORT), "monitor"]
        env = dict(os.environ, REDISCLI_AUTH=server.password or "")
        self.process = Process(argv, self.path, env=env)
        eventually(lambda: b"OK" in self.text(), f"{server.name} tells what it does")

    def text(self):
        return self.path.read_bytes()

    def end(self):
        self.process.end(15)


def cluster(farm, ips, conf=""):
    """As many servers, half of them replicas."""
    more = f"cluster-enabled yes\ncluster-node-timeout 1500\ncluster-config-file nodes.conf\n{conf}\n"
    # On loopback, servers would see each other come from 127.0.0.1.
    own = "cluster-announce-ip {0}\nbind-source-addr {0}\nprotected-mode no\n"
    servers = [Server(farm, f"r{i}", ip, more + own.format(ip)).start() for i, ip in enumerate(ips)]
    made = subprocess.run(["redis-cli", "--cluster", "create", *[f"{ip}:{PORT}" for ip in ips], "--cluster-replicas", "1",
                           "--cluster-yes"], capture_output=True, text=True, timeout=60, check=False)
    check(made.returncode == 0, f"the cluster: {made.stdout[-500:]} {made.stderr[-500:]}")
    eventually(lambda: all(whole(s) for s in servers), "the cluster is whole", 30)
    eventually(lambda: sum(follows(s) for s in servers) * 2 == len(servers), "it has its replicas", 30)
    return servers


def whole(server):
    """All slots have a server, as this one sees it."""
    info = server.client().execute_command("CLUSTER INFO")
    return info["cluster_state"] == "ok" and info["cluster_slots_fail"] == "0"


def role(server):
    return server.client().info("replication")["role"]


def follows(server):
    """It is a replica, and has what its primary has."""
    info = server.client().info("replication")
    return info["role"] == "slave" and info["master_link_status"] == "up"


def available():
    """Without redis-server there is nothing to test: skipped."""
    if subprocess.run(["sh", "-c", "command -v redis-server redis-cli"], capture_output=True, check=False).returncode:
        sys.exit(77)
