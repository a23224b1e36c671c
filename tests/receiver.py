"""A webhook's other end: a real HTTP server on loopback that keeps what it is told."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading


class Receiver(http.server.BaseHTTPRequestHandler):
    """Keeps what it is told in its server's `told` (path, type, body), and answers with its server's `code`."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.told.append((self.path, self.headers["Content-Type"], json.loads(body)))
        self.send_response(self.server.code)
        self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.end_headers()

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def receiver(code: int = 200):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        server.code, server.told = code, []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def address(server) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}/services/T0/B0/s3cr3t"
