#!/usr/bin/env python3
"""The doors for clients of memcached and Redis under TLS: whole pipelines, large values, and who speaks no TLS."""
import os
import pathlib
import socket
import ssl
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tls"))
from certs import Authority
from farm import check, options, scenario

import pymemcache
import redis

MEMCACHED, REDIS = 11211, 6379


def add_doors(farm):
    ours = Authority(farm.run)
    ours.issue("shop", "shop", "s1.shop.test", "s2.shop.test", "s3.shop.test")
    for name in farm.names:
        conf, ip = farm.conf(name), farm.ip(name)
        conf.write_text(conf.read_text() + f"""
tls {{ certificate "shop" {{ chain = "run/shop.pem" key = "run/shop.key" }} }}
memcached {{ listen = "{ip}:{MEMCACHED}" tls = yes }}
redis {{ listen = "{ip}:{REDIS}" tls = yes }}
""")
        done = farm.cli("check", "-c", conf)
        check(done.returncode == 0, f"stead check: {done.stdout}{done.stderr}")
    return ours


def context(ours, version=None):
    c = ssl.create_default_context(cafile=ours.pem)
    c.check_hostname = False  # the client calls by address; the chain is checked
    if version:
        c.maximum_version = version
    return c


def redis_client(farm, ours, name, **more):
    return redis.Redis(farm.ip(name), REDIS, socket_timeout=10, ssl=True, ssl_ca_certs=str(ours.pem),
                       ssl_check_hostname=False, **more)


def redis_calls(farm, ours):
    one, other = redis_client(farm, ours, "s1"), redis_client(farm, ours, "s2")
    check(one.set("k", "v", ex=60) and other.get("k") == b"v", "set at one node, get at another")
    pipe = one.pipeline(transaction=False)
    for i in range(300):
        pipe.setex(f"p{i}", 60, f"{i:04}" * 500)
    check(all(pipe.execute()), "a pipeline of 600 KB")
    values = other.mget([f"p{i}" for i in range(300)])
    check(values == [(f"{i:04}" * 500).encode() for i in range(300)], "mget of all of them")
    big = os.urandom(900_000)
    check(one.set("big", big) and other.get("big") == big, "a large value")
    check(one.pipeline().set("m", 1).incr("m").get("m").execute() == [True, 2, b"2"], "a transaction")


def memcache_calls(farm, ours):
    for version in (None, ssl.TLSVersion.TLSv1_2):
        client = pymemcache.Client((farm.ip("s3"), MEMCACHED), timeout=10, connect_timeout=5,
                                   tls_context=context(ours, version))
        check(client.set("a", b"1", noreply=False) and client.get("a") == b"1", f"set and get, at most {version}")
        check(client.get_many([f"p{i}" for i in range(50)]).keys() == {f"p{i}" for i in range(50)}, "get_many")
        client.close()


def without_tls(farm):
    with socket.create_connection((farm.ip("s1"), REDIS), timeout=10) as s:
        s.sendall(b"PING\r\n" * 10)
        heard = b""
        try:
            while part := s.recv(4096):
                heard += part
        except ConnectionResetError:
            pass
        check(b"PONG" not in heard, f"who speaks no TLS is not answered: {heard}")


def main():
    args = options()
    with scenario(args.build, 57) as farm:
        ours = add_doors(farm)
        farm.started()
        redis_calls(farm, ours)
        memcache_calls(farm, ours)
        without_tls(farm)
        check(farm.metric("s1", "stead_cache_requests_total") > 0, "requests are counted")


main()
