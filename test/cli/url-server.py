# SPDX-License-Identifier: MIT
"""url-server.py DIR [CERT KEY]: a web server on a free port of 127.0.0.1 that serves and misbehaves as its paths say.

Prints its port. Files of DIR are served as they are, with an ETag; each request is a line in DIR/requests: method, path,
If-None-Match or "-". With a certificate it speaks TLS. Ends at the end of standard input.
"""
import hashlib
import http.server
import os
import socket
import ssl
import sys
import threading
import time


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def file(self, name):
        with open(os.path.join(directory, name), "rb") as f:
            return f.read()

    def do_GET(self):
        self.close_connection = True
        path, _, query = self.path.partition("?")
        with open(os.path.join(directory, "requests"), "a") as f:
            f.write(f"{self.command} {self.path} {self.headers.get('If-None-Match', '-')}\n")
        do = getattr(self, "do_" + path.strip("/").replace("-", "_").split("/")[0], None)
        if do:
            return do(path, query)
        try:
            body = self.file(os.path.basename(path))
        except OSError:
            return self.answer(404)
        etag = '"' + hashlib.sha256(body).hexdigest()[:16] + '"'
        if self.headers.get("If-None-Match") == etag:
            return self.answer(304, ETag=etag)
        self.answer(200, body, ETag=etag)

    def do_stall(self, path, query):
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"version: 1\n")
        self.wfile.flush()
        time.sleep(30)

    def do_drip(self, path, query):
        """Never quiet for long, and never done."""
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        for _ in range(600):
            self.wfile.write(b"#")
            self.wfile.flush()
            time.sleep(0.05)

    def do_short(self, path, query):
        self.answer(200, b"version: 1\n", Content_Length="100")

    def do_chunks(self, path, query):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        body = self.file("a.yml")
        self.wfile.write(b"%x\r\n%b\r\n" % (len(body), body))
        if not query:
            self.wfile.write(b"0\r\n\r\n")

    def do_endless(self, path, query):
        """No length: its end is the connection's."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.file("a.yml"))

    def do_twice(self, path, query):
        """500 until it was asked so often."""
        count[path] = count.get(path, 0) + 1
        if count[path] < 3:
            return self.answer(500)
        self.answer(200, self.file("a.yml"))

    def do_status(self, path, query):
        self.answer(int(query))

    def do_cut(self, path, query):
        self.connection.shutdown(socket.SHUT_RDWR)

    def do_loop(self, path, query):
        self.answer(302, Location="/loop?" + query + "x")

    def do_to(self, path, query):
        self.answer(302, Location=query)

    def do_large(self, path, query):
        self.answer(200, b"#" * (2 << 20))

    def do_large_chunks(self, path, query):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for _ in range(32):
            self.wfile.write(b"10000\r\n" + b"#" * 65536 + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def do_binary(self, path, query):
        self.answer(200, bytes(range(256)))

    def do_packed(self, path, query):
        self.answer(200, b"\x1f\x8b", Content_Encoding="gzip")

    def do_lengths(self, path, query):
        """Two of them, or a length and another coding."""
        self.send_response(200)
        self.send_header("Content-Length", "11")
        if query:
            self.send_header("Transfer-Encoding", query)
        else:
            self.send_header("Content-Length", "12")
        self.end_headers()
        self.wfile.write(b"version: 1\n\n")

    def do_nonsense(self, path, query):
        self.wfile.write(b"\x1b[31mHello\n" * 3)

    def do_evil(self, path, query):
        """What it says shall not reach a terminal."""
        self.send_response(403, "\x1b]0;evil\x07 no")
        self.end_headers()

    def do_headers(self, path, query):
        self.send_response(200)
        for i in range(300):
            self.send_header(f"X-{i}", "y" * 100)
        self.end_headers()


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        pass

    def finish_request(self, request, client_address):
        if context:
            request.settimeout(20)
            request = context.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)


directory = sys.argv[1]
count = {}
context = None
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
server = Server(("127.0.0.1", 0), Handler)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
sys.stdin.read()
os._exit(0)
