"""A farm of hosts: each node in a network namespace of its own (net.py), without shops, its admin door at its socket."""
import contextlib

from client import UnixConnection, exchange
from farm import Farm, Process


class HostsFarm(Farm):
    """conf: a node's configuration, to be formatted with its name, its ip, join (quoted addresses) and `more`."""

    def __init__(self, where, net, names, conf, servers=(), **more):
        super().__init__(*where)
        self.net = net
        for example in self.dir.glob("*.conf"):
            example.unlink()
        self.names, self.servers = list(names), list(servers)
        for name in names:
            join = ", ".join(f'"{self.ip(n)}"' for n in self.joins(name) if n != name)
            self.conf(name).write_text(conf.format(name=name, ip=self.ip(name), join=join, **more))

    def joins(self, name):
        """Whose addresses it is given."""
        return self.names[:3]

    def before(self, name):
        """What its command line begins with, on its host."""
        return []

    def ip(self, name):
        return self.net.ip[name]

    def start_node(self, name):
        self.nodes[name] = Process([*self.net.inside(name), *self.before(name), self.build / "stead", "run", "-c",
                                    self.conf(name)], self.log(name))

    def start_shop(self, name):
        pass

    def healthy(self, name):
        return True

    def admin(self, name, path):
        with contextlib.closing(UnixConnection(self.run / name / "admin.sock")) as connection:
            return exchange(connection, "GET", path)
