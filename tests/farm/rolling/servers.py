#!/usr/bin/env python3
"""The real servers of a farm, all in one process: each answers with its own name and counts the connections that clients
have open, by itself and without asking stead. usage: servers.py PORT NAME=IP..."""
import asyncio
import json
import sys

open_now, came = {}, {}


async def serve(name, reader, writer):
    counted = False
    try:
        while True:
            line = await reader.readline()
            if not line:
                break
            while (await reader.readline()).strip():
                pass
            path = line.split()[1].decode()
            if path == "/who" and not counted:
                counted = True
                open_now[name] += 1
                came[name] += 1
            body = json.dumps({"open": open_now, "came": came}) if path == "/count" else name
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        open_now[name] -= counted
        writer.close()


async def main():
    for argument in sys.argv[2:]:
        name, ip = argument.split("=")
        open_now[name] = came[name] = 0
        await asyncio.start_server(lambda r, w, name=name: serve(name, r, w), ip, int(sys.argv[1]), backlog=1024)
    await asyncio.Event().wait()


asyncio.run(main())
