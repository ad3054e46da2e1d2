#!/usr/bin/python3
"""A custom handler that does what the message says; only for tests of the host stand-in."""

import base64
import http.server
import json
import os
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format, *args):
        pass

    def do_GET(self):
        self.answer(200, b"up")

    def do_POST(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers["Content-Length"]))
        call = json.loads(body)
        data = call["Data"]["item"]
        if self.path == "/work":
            data = base64.b64decode(data).decode()
        elif self.path == "/plain":
            data = json.loads(data)
        print("got", json.dumps(data), flush=True)
        if data == "crash":
            os._exit(3)
        if data == "zero":
            os._exit(0)
        if data == "empty":
            self.answer(200, b"")
        elif data == "null":
            self.answer(200, b"null")
        elif data == "text":
            self.answer(200, b"{}", "text/plain")
        elif data == "fail":
            print("warn: failing", file=sys.stderr, flush=True)
            self.answer(500, b"no")
        elif data == "out":
            outputs = {"out": ["done", "two"]}
            self.answer(200, json.dumps({"Outputs": outputs}).encode())
        else:
            logs = {"Logs": [json.dumps(call, ensure_ascii=False)]}
            self.answer(200, json.dumps(logs, ensure_ascii=False).encode())

    def answer(self, status, body, kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 64


Server(("127.0.0.1", int(os.environ["FUNCTIONS_CUSTOMHANDLER_PORT"])), Handler).serve_forever()
