"""A stand-in for Jamf Pro: the three computers of the demo, behind a bearer token.

It serves the computers inventory and the device compliance information, as https://developer.jamf.com/jamf-pro/reference
describes them, and only the parts that the function reads.
"""

import json
import re
from datetime import datetime, timezone
from hmac import compare_digest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

from local.ports import HOST

# Serial number: computer id, owner, compliance state.
COMPUTERS = {
    "ALICE-MAC": ("1", "alice@example.com", "COMPLIANT"),
    "ALICE-OLD-MAC": ("2", "alice@example.com", "NON_COMPLIANT"),
    "BOB-MAC": ("3", "bob@example.com", "COMPLIANT"),
}

COMPLIANCE = r"/api/v1/conditional-access/device-compliance-information/computer/(\d+)"


class StandInJamf:
    """A context manager. Inside it, Jamf is at `url`, for requests with `token`."""

    def __init__(self, token):
        self.token = token
        self.requests = 0
        self._server = ThreadingHTTPServer((HOST, 0), self._handler())
        self.url = f"http://{HOST}:{self._server.server_address[1]}"

    def __enter__(self):
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def _handler(self):
        jamf = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                jamf.requests += 1
                presented = self.headers.get("Authorization", "")
                if not compare_digest(presented, f"Bearer {jamf.token}"):
                    self._answer(401, {"httpStatus": 401, "errors": []})
                else:
                    self._answer(*answer(urlsplit(self.path)))

            def _answer(self, status, body):
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        return Handler


def answer(url):
    """The status and body for a path and its query."""
    if url.path == "/api/v3/computers-inventory":
        wanted = re.search(r'hardware\.serialNumber=="([^"]*)"', parse_qs(url.query).get("filter", [""])[0])
        found = [inventory(serial) for serial in COMPUTERS if wanted and serial == wanted[1]]
        return 200, {"totalCount": len(found), "results": found}
    compliance = re.fullmatch(COMPLIANCE, url.path)
    for computer, _, state in COMPUTERS.values():
        if compliance and computer == compliance[1]:
            return 200, [{"deviceId": computer, "applicable": True, "complianceState": state}]
    return 404, {"httpStatus": 404, "errors": []}


def inventory(serial):
    """A computer, with the sections that the function reads."""
    computer, owner, _ = COMPUTERS[serial]
    contact = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    return {
        "id": computer,
        "udid": f"00000000-0000-0000-0000-00000000000{computer}",
        "general": {"name": serial, "lastContactTime": contact, "remoteManagement": {"managed": True}},
        "hardware": {"serialNumber": serial},
        "operatingSystem": {"name": "macOS", "version": "26.1"},
        "userAndLocation": {"username": owner, "email": owner},
    }
