"""Requests of odd shapes, of which another request may hide in the body: whoever stands behind must see as many as who
stands before. Each has a number, by which it is found in the logs."""
import itertools
import re

LENGTHS = [None, b"Content-Length: %d", b"Content-Length: +%d", b"Content-Length: %d,%d", b"Content-Length: 0x%x",
           b"Content-Length: %d\r\nContent-Length: 0", b"Content-Length: 0\r\nContent-Length: %d",
           b"Content-Length : %d", b"Content-Length:\r\n %d", b"Content_Length: %d", b"Content-Length: -%d",
           b"Content-Length: %d ", b"Content-Length:\t%d", b"Content-Length: 00%d", b"Content-Length: %d\nX: y",
           b"Connection: Content-Length\r\nContent-Length: %d"]
CODINGS = [None, b"Transfer-Encoding: chunked", b"Transfer-Encoding: Chunked", b"Transfer-Encoding : chunked",
           b"Transfer-Encoding: xchunked", b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding: identity",
           b"Transfer-Encoding: identity, chunked", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
           b"Transfer-Encoding:\r\n chunked", b"Transfer-Encoding:\x0bchunked", b"Transfer_Encoding: chunked",
           b"X: y\nTransfer-Encoding: chunked", b"X: y\rTransfer-Encoding: chunked", b"Transfer-Encoding: chunked\r\nTE: x",
           b"Transfer-Encoding: \"chunked\"", b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
           b" Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"transfer-encoding:chunked"]
BODIES = [b"0\r\n\r\n%s", b"0\n\n%s", b"5;\nxxx\r\nhello\r\n0\r\n\r\n%s", b"1\r\nab\r\n0\r\n\r\n%s", b"0\r\nX: y\n\r\n%s",
          b"0x0\r\n\r\n%s", b" 0\r\n\r\n%s", b"0 \r\n\r\n%s", b"-0\r\n\r\n%s", b"00000000000000000000\r\n\r\n%s",
          b"0\r\nContent-Length: 9\r\n\r\n%s", b"0;a=\"\r\n\"\r\n\r\n%s", b"0\r\n\r\r\n%s", b"%s"]
VERSIONS = [b"1.1", b"1.0"]


def shape(number, length, coding, body, version):
    hidden = b"GET /hidden?id=%d. HTTP/1.1\r\nHost: HOST\r\n\r\n" % number
    body = body % hidden
    lines = [b"POST /shape?id=%d. HTTP/%s" % (number, version), b"Host: HOST"]
    if length:
        lines.append(re.sub(rb"%[dx]", lambda m: (m.group() % len(body)), length))
    if coding:
        lines.append(coding)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def all_shapes():
    """Every way to say a length beside every way to say a coding, then every kind of chunk."""
    heads = [(n, c, BODIES[0], v) for n, c, v in itertools.product(LENGTHS, CODINGS, VERSIONS)]
    chunks = [(None, c, b, v) for c, b, v in itertools.product(CODINGS[:3], BODIES, VERSIONS)]
    return [shape(i, *parts) for i, parts in enumerate(heads + chunks)]
