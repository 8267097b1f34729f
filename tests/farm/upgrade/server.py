#!/usr/bin/env python3
"""A real server: short answers, a long download, and a tunnel that echoes; at the next port one that only echoes.

usage: server.py IP PORT NAME"""
import asyncio
import contextlib
import sys

PIECE, PIECES = bytes(range(256)) * 64, 400  # of a long download, 50 a second


async def head_of(reader):
    lines = []
    while line := (await reader.readline()).strip():
        lines.append(line.decode())
    return lines


async def download(writer):
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(PIECE) * PIECES}\r\n\r\n".encode())
    for _ in range(PIECES):
        writer.write(PIECE)
        await writer.drain()
        await asyncio.sleep(0.02)


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def tunnel(reader, writer):
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
    await echo(reader, writer)


async def serve_echo(reader, writer):
    with contextlib.suppress(OSError):
        await echo(reader, writer)
    writer.close()


async def serve(reader, writer):
    try:
        while lines := await head_of(reader):
            path = lines[0].split()[1]
            if path == "/long":
                await download(writer)
            elif path == "/tunnel":
                await tunnel(reader, writer)
                break
            else:
                body = sys.argv[3]
                writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main():
    await asyncio.start_server(serve, sys.argv[1], int(sys.argv[2]), backlog=1024)
    await asyncio.start_server(serve_echo, sys.argv[1], int(sys.argv[2]) + 1, backlog=1024)
    await asyncio.Event().wait()


asyncio.run(main())
