"""The application of the lab: a page, a health check, and metrics that name the release."""

import http.server
import os
import pathlib
import resource
import time

RELEASE = pathlib.Path(__file__).resolve().parent.name
#: A release with this file beside it answers every request with an error.
BROKEN = pathlib.Path(__file__).with_name("BROKEN").exists()
answers = {"200": 0, "500": 0}
#: As many files as an application has open that does more.
files = [open(os.devnull) for _ in range(64)]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/metrics":
            return self.reply(200, metrics())
        code = 500 if BROKEN else 200
        answers[str(code)] += 1
        if BROKEN:
            print(time.strftime("%FT%T"), "ERROR", RELEASE, "cannot answer", self.path, flush=True)
        large = self.path == "/large"
        self.reply(code, "x" * 100_000 if large else f"{os.uname().nodename} {RELEASE}\n")

    def reply(self, code, text):
        body = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def metrics():
    lines = [
        f'app_answers_total{{release="{RELEASE}",code="{code}"}} {count}'
        for code, count in answers.items()
    ]
    lines += [
        f'app_info{{release="{RELEASE}"}} 1',
        f"process_open_fds {len(os.listdir('/proc/self/fd'))}",
        f"process_max_fds {resource.getrlimit(resource.RLIMIT_NOFILE)[0]}",
    ]
    return "\n".join([*lines, ""])


class Server(http.server.ThreadingHTTPServer):
    allow_reuse_address = True
    daemon_threads = True


print(time.strftime("%FT%T"), "INFO", RELEASE, "starts", flush=True)
Server(("", 8080), Handler).serve_forever()
