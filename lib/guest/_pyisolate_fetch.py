# SPDX-License-Identifier: MIT
"""Fetch one document by HTTP(S): the guest's half of lib/super/fetch.c.

Runs in a sandbox that may connect to the given addresses and port and to nothing else. Arguments: scheme, host, port,
target, the ETag of what is there already (or ""), then the addresses. Standard input is the store of certificates that
are trusted (https). What comes of it goes to standard output: a line with a word that fetch.c knows, a line with an
ETag or the circumstances, and after "body" the body. How long all this may take the supervisor decides.

A body counts only if it is whole: where the server does not say how long it is, a cut connection would look the same,
and a policy without its last lines is another policy.
"""
import http.client
import re
import socket
import ssl
import sys
import urllib.parse

BODY_MAX = 1 << 20
STORE_MAX = 32 << 20
REDIRECTS_MAX = 5
NEXT_ADDRESS_S = 1.0    # one that says nothing leaves time for those after it
REDIRECTS = (301, 302, 303, 307, 308)


class Verdict(Exception):
    def __init__(self, word, detail="", body=b""):
        self.word, self.detail, self.body = word, str(detail), body


def trust():
    """What a client does by default, with the certificates on standard input alone."""
    text = sys.stdin.buffer.read(STORE_MAX + 1)
    blocks = re.findall(rb"-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----", text)
    if len(text) > STORE_MAX or not blocks:
        raise Verdict("store", "it holds no certificate" if not blocks else "it is larger than 32 MiB")
    try:
        return ssl.create_default_context(cadata=b"\n".join(blocks).decode("ascii"))
    except (ssl.SSLError, ValueError) as e:
        raise Verdict("store", getattr(e, "reason", None) or "it cannot be read") from None


def connector(addresses):
    """In the place of socket.create_connection: the supervisor has looked the name up."""
    def connect(address, timeout=None, source_address=None):
        failed = None
        for i, host in enumerate(addresses):
            sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
            sock.settimeout(NEXT_ADDRESS_S if i + 1 < len(addresses) else None)
            try:
                sock.connect((host, address[1]))
                sock.settimeout(None)
                return sock
            except OSError as e:
                sock.close()
                failed = failed or e
        raise Verdict("connect", failed.strerror or failed)

    return connect


def read_body(response):
    """All of it, or a verdict."""
    length = response.length
    encoding = response.getheader("Content-Encoding", "identity").lower()
    if encoding != "identity":
        raise Verdict("encoding", encoding)
    # One answer, said once: where there are two, others on the way may have taken the other one (RFC 9112, 6.3).
    lengths = {value.strip() for value in response.headers.get_all("Content-Length", [])}
    codings = [value.strip().lower() for value in response.headers.get_all("Transfer-Encoding", [])]
    if len(lengths) > 1 or (codings and codings != ["chunked"]):
        raise Verdict("http", "it says in two ways how long it is" if not codings else "Transfer-Encoding " + codings[0])
    if length is None and not response.chunked:
        raise Verdict("length")
    if length is not None and length > BODY_MAX:
        raise Verdict("large", f"{length} bytes")
    body = b""
    while len(body) <= BODY_MAX and (more := response.read(BODY_MAX + 1 - len(body))):
        body += more
    if len(body) > BODY_MAX:
        raise Verdict("large", "more than 1 MiB")
    if length is not None and len(body) < length:
        raise Verdict("short", f"{len(body)} of {length} bytes came")
    return body


def origin(url):
    """Scheme, host and port; what is none is None."""
    try:
        port = url.port
    except ValueError:
        return None
    return url.scheme, url.hostname, port if port is not None else {"http": 80, "https": 443}.get(url.scheme)


def follow(here, location):
    """The target of a redirect that stays where it was."""
    if not location:
        raise Verdict("http", "a redirect to nowhere")
    try:
        there = urllib.parse.urlsplit(urllib.parse.urljoin(here.geturl(), location))
    except ValueError:
        raise Verdict("http", "a redirect to what is no address") from None
    if origin(there) != origin(here) or there.username is not None:
        port = "" if (origin(there) or [None])[-1] in (None, 80, 443) else f":{there.port}"
        raise Verdict("redirect", f"{there.scheme}://{there.hostname or ''}{port}")
    return there


def ask(url, target, host, port, etag, connect, context):
    """One request; its response, headers read."""
    if context:
        connection = http.client.HTTPSConnection(host, port, context=context)
    else:
        connection = http.client.HTTPConnection(host, port)
    connection._create_connection = connect
    headers = {"User-Agent": "pyisolate", "Accept": "*/*", "Connection": "close"}
    if etag:
        headers["If-None-Match"] = etag
    connection.request("GET", target, headers=headers)
    return connection.getresponse()


def fetch(scheme, host, port, target, etag, addresses):
    context = trust() if scheme == "https" else None
    connect = connector(addresses)
    name = f"[{host}]" if ":" in host else host
    url = urllib.parse.urlsplit(f"{scheme}://{name}:{port}{target}")
    for _ in range(REDIRECTS_MAX + 1):
        response = ask(url, target, host, port, etag, connect, context)
        status = response.status
        if status == 200:
            raise Verdict("body", response.getheader("ETag", ""), read_body(response))
        if status == 304 and etag:
            raise Verdict("same")
        if status not in REDIRECTS:
            word = "server" if status >= 500 else "status"
            raise Verdict(word, f"{status} {response.reason}")
        url = follow(url, response.getheader("Location"))
        target = urllib.parse.urlunsplit(("", "", url.path or "/", url.query, ""))
    raise Verdict("loop", f"more than {REDIRECTS_MAX} redirects")


def judge(*args):
    """Every way that it can end is a verdict."""
    try:
        fetch(*args)
    except Verdict as verdict:
        return verdict
    except ssl.SSLCertVerificationError as e:
        return Verdict("certificate", e.verify_message.rstrip("."))
    except http.client.IncompleteRead:
        return Verdict("short", "the connection was cut within the body")
    except (ssl.SSLEOFError, ConnectionError):
        return Verdict("cut")
    except ssl.SSLError as e:
        return Verdict("tls", (e.reason or "no TLS").replace("_", " ").lower())
    except OSError as e:
        return Verdict("connect", e.strerror or e)
    except (http.client.HTTPException, ValueError) as e:
        return Verdict("http", f"{type(e).__name__} {e}")


def main():
    scheme, host, port, target, etag, *addresses = sys.argv[1:]
    verdict = judge(scheme, host, int(port), target, etag, addresses)
    detail = "".join(c if " " <= c <= "~" else "?" for c in verdict.detail)
    sys.stdout.buffer.write(f"{verdict.word}\n{detail[:300]}\n".encode("ascii") + verdict.body)
    sys.stdout.buffer.flush()
