"""Signs requests to the host as its API says, written from that text alone: a hook of schemathesis.

The key file, the host's key and a recipient's token come in the environment.
"""

import base64
import hashlib
import os
import secrets
import time
from urllib.parse import urlsplit

import schemathesis
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from requests.auth import AuthBase

PRIVATE = "glovebox-private-key ed25519:"


class Signed(AuthBase):
    def __init__(self):
        with open(os.environ["SIGNING_KEY"], encoding="utf-8") as file:
            self.key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(file.read().strip().removeprefix(PRIVATE)))
        public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.key_id = f"ed25519:{public.hex()}"
        self.host_key, self.token = os.environ["SIGNING_HOST"], os.environ["SHARING_TOKEN"]

    def __call__(self, request):
        url = urlsplit(request.url)
        if url.path.startswith("/delta-sharing/"):
            request.headers["Authorization"] = f"Bearer {self.token}"
            return request
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        if not isinstance(body, bytes):
            return request
        digest = f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
        parameters = (f'("@method" "@path" "@query" "content-digest");created={int(time.time())}'
                      f';nonce="{secrets.token_hex(16)}";keyid="{self.key_id}";alg="ed25519"'
                      f';tag="glovebox-v1:{self.host_key}"')
        base = (f'"@method": {request.method}\n"@path": {url.path}\n"@query": ?{url.query}\n'
                f'"content-digest": {digest}\n"@signature-params": {parameters}')
        signature = base64.b64encode(self.key.sign(base.encode())).decode()
        request.headers.update({"Content-Digest": digest, "Signature-Input": f"glovebox={parameters}",
                                "Signature": f"glovebox=:{signature}:"})
        return request


if "SIGNING_KEY" in os.environ:
    schemathesis.auth.set_from_requests(Signed())
