"""Writes to a Blob service as a diagnostic setting of Azure does: appends to blobs.

Reads one JSON object per line, {"blob": NAME, "new": BOOL, "text": TEXT}, makes the container when it
is not there and the blob when it is new, and appends. Takes the service's address, the container, and nothing else: the
account is the one every emulator has, whose key is public.
"""

import base64
import hashlib
import hmac
import json
import sys
import urllib.error
import urllib.parse
import urllib.request
from email.utils import formatdate

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def ask(url, path, query, body=b"", headers=None):
    """One signed PUT; https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key."""
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2023-11-03", **(headers or {})}
    quoted = urllib.parse.quote(f"/{ACCOUNT}/{path}", safe="/=")
    named = "\n".join(f"{name}:{headers[name]}" for name in sorted(headers))
    asked = "".join(f"\n{name}:{query[name]}" for name in sorted(query))
    length = str(len(body)) if body else ""
    kind = "application/octet-stream"
    text = f"PUT\n\n\n{length}\n\n{kind}\n\n\n\n\n\n\n{named}\n/{ACCOUNT}{quoted}{asked}"
    signed = base64.b64encode(hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()).decode()
    headers |= {"Authorization": f"SharedKey {ACCOUNT}:{signed}", "Content-Type": kind}
    address = f"{url}{quoted}?{urllib.parse.urlencode(query)}"
    request = urllib.request.Request(address, data=body, headers=headers, method="PUT")
    try:
        with urllib.request.urlopen(request, timeout=30):
            return
    except urllib.error.HTTPError as error:
        # What is there already need not be made.
        if error.code != 409:
            sys.exit(f"{error.code} {error.read().decode()}\n{text}")


def main():
    url, container = sys.argv[1:]
    ask(url, container, {"restype": "container"})
    for line in sys.stdin:
        written = json.loads(line)
        blob = f"{container}/{written['blob']}"
        if written["new"]:
            ask(url, blob, {}, headers={"x-ms-blob-type": "AppendBlob"})
        ask(url, blob, {"comp": "appendblock"}, written["text"].encode())


main()
