#!/usr/bin/env python3
"""A registry with the images of one OCI layout, as the OCI distribution specification has it, to pull from by HTTP.

    registry.py LAYOUT NAME      serves it as NAME on a port of 127.0.0.1, which it prints; the tags are those of the layout
"""

import http.server
import json
import os
import re
import sys

LAYOUT, NAME = sys.argv[1:]


class Registry(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        status, kind, digest, body = self.answer()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if digest:
            self.send_header("Docker-Content-Digest", digest)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def answer(self):
        if self.path == "/v2/":
            return 200, "application/json", None, b"{}"
        asked = re.fullmatch(rf"/v2/{re.escape(NAME)}/(manifests|blobs)/([^/]+)", self.path)
        if asked:
            kind, wanted = "application/octet-stream", asked[2]
            if asked[1] == "manifests":
                with open(f"{LAYOUT}/index.json", encoding="utf-8") as file:
                    manifests = json.load(file)["manifests"]
                for manifest in manifests:
                    if wanted in (manifest["digest"], manifest.get("annotations", {}).get("org.opencontainers.image.ref.name")):
                        kind, wanted = manifest["mediaType"], manifest["digest"]
            path = f"{LAYOUT}/blobs/{wanted.replace(':', '/')}"
            if re.fullmatch("sha256:[0-9a-f]{64}", wanted) and os.path.isfile(path):
                with open(path, "rb") as file:
                    return 200, kind, wanted, file.read()
        return 404, "application/json", None, b'{"errors":[{"code":"NAME_UNKNOWN"}]}'

    def log_message(self, *words):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
print(server.server_port, flush=True)
server.serve_forever()
