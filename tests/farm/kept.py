"""Sessions in a farm with repositories: nodes without servers, and records of kind purchase by their unix sockets."""
import json
import time

from client import UnixConnection
from farm import check, eventually

CONF = """farm     = "kept"
key-file = "run/farm.key"
state    = "run/{name}"
node "{name}" {{
    address = "{ip}"
    join    = {{{join}}}
    {node}
}}
sessions {{
    listen = "unix:run/{name}.sock"
    memory = "32m"
    kind "purchase" {{ copies = 2 when-alone = "accept" }}
}}
admin  {{ listen = "{ip}:7380" }}
{more}
"""


def configure(farm, names, more, join=("s1", "s2"), node=None):
    """A farm of these nodes; `more` and `node` say by name what else stands in a configuration, and in its node's section."""
    for name in farm.names:
        farm.conf(name).unlink(missing_ok=True)
    farm.servers, farm.names = [], list(names)
    for name in farm.names:
        others = ", ".join(f'"{farm.ip(n)}"' for n in join if n != name)
        farm.conf(name).write_text(CONF.format(name=name, ip=farm.ip(name), join=others, more=more.get(name, ""),
                                               node=(node or {}).get(name, "")))


def ask(farm, name, method, path, body=None):
    connection = UnixConnection(farm.run / f"{name}.sock")
    try:
        connection.request(method, f"/v1/sessions/purchase{path}", json.dumps(body) if body is not None else None)
        reply = connection.getresponse()
        text = reply.read()
        return reply.status, json.loads(text) if text else None
    finally:
        connection.close()


def make(farm, name, fields):
    status, record = ask(farm, name, "POST", "", {"ttl": 3600, "fields": fields})
    check(status == 201, f"made at {name}: {status} {record}")
    return record["id"]


def fields(farm, name, number):
    status, record = ask(farm, name, "GET", f"/{number}")
    return record["fields"] if status == 200 else status


def ready(farm, *names):
    for name in names:
        eventually(lambda name=name: farm.ready(name), f"{name} is ready")
    for name in names:
        eventually(lambda name=name: farm.status(name)["nodes"]["up"] == len(names), f"{name} hears the others")


def wait_kept(farm, name):
    """Until all that has changed by now is in the repository's file."""
    start = time.monotonic()

    def kept():
        passed = time.monotonic() - start
        return farm.metric(name, "stead_repository_up") == 1 and farm.metric(name, "stead_repository_lag_milliseconds") < passed * 1000
    eventually(kept, f"all is in the file of {name}")
