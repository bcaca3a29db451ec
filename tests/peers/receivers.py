"""Receivers for the tests, made of software Keywatch did not write.

    receivers.py mail FOLDER plain|starttls|tls|login|expired    an SMTP server (aiosmtpd)
    receivers.py https FOLDER good|expired               an HTTPS server
    receivers.py verify FOLDER PUBLIC_KEY                whether requests are signed with ed25519
    receivers.py sns FOLDER                              SNS with HTTP and SQS subscribers (ministack), and
                                                         an STS that wants an external id

Prints one JSON object a line: first where it is reached, then what it received. Ends when its
standard input does. Certificates are made in FOLDER: ca.pem, and a server's for 127.0.0.1.
"""

import datetime
import http.server
import ipaddress
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request


def say(**what):
    print(json.dumps(what), flush=True)


def certificates(folder, expired=False):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)

    def write(name, key, certificate):
        with open(os.path.join(folder, name + ".pem"), "wb") as file:
            file.write(certificate.public_bytes(serialization.Encoding.PEM))
        with open(os.path.join(folder, name + ".key"), "wb") as file:
            file.write(
                key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            )

    def name_of(text):
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    def start(subject, issuer, public, first, last):
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer)
        builder = builder.public_key(public).serial_number(x509.random_serial_number())
        return builder.not_valid_before(first).not_valid_after(last)

    authority = ec.generate_private_key(ec.SECP256R1())
    issuer = name_of("Keywatch test authority")
    ca = (
        start(issuer, issuer, authority.public_key(), now - 90 * day, now + 90 * day)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority.public_key()), critical=False)
        .sign(authority, hashes.SHA256())
    )
    write("ca", authority, ca)
    key = ec.generate_private_key(ec.SECP256R1())
    last = now - day if expired else now + 30 * day
    names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
    server = (
        start(name_of("127.0.0.1"), issuer, key.public_key(), now - 60 * day, last)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False
        )
        .sign(authority, hashes.SHA256())
    )
    write("server", key, server)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(folder, "server.pem"), os.path.join(folder, "server.key"))
    return context


def mail(folder, mode):
    import asyncio

    from aiosmtpd.smtp import SMTP, AuthResult

    class Handler:
        async def handle_DATA(self, server, session, envelope):
            say(
                sender=envelope.mail_from,
                recipients=envelope.rcpt_tos,
                data=envelope.content.decode("utf-8", "replace"),
                encrypted=server.transport.get_extra_info("ssl_object") is not None,
                user=session.auth_data,
            )
            return "250 taken"

    def authenticate(server, session, envelope, mechanism, data):
        with open(os.path.join(folder, "password")) as file:
            right = data.login == b"keywatch" and data.password.decode() == file.read().strip()
        if not right:
            say(refused=mechanism)
            return AuthResult(success=False, handled=False)
        return AuthResult(success=True, auth_data="keywatch")

    context = certificates(folder, mode == "expired")
    options = {}
    if mode in ("starttls", "login", "expired"):
        options = {"tls_context": context, "require_starttls": True}
    if mode == "login":
        options |= {"authenticator": authenticate, "auth_required": True, "auth_require_tls": True}
    implicit = context if mode == "tls" else None

    async def serve():
        loop = asyncio.get_running_loop()
        speak = lambda: SMTP(Handler(), hostname="127.0.0.1", loop=loop, **options)
        server = await loop.create_server(speak, "127.0.0.1", 0, ssl=implicit)
        say(port=server.sockets[0].getsockname()[1])
        await loop.run_in_executor(None, sys.stdin.read)

    asyncio.run(serve())


def https(folder, mode):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            say(path=self.path, body=body.decode(), headers=headers)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = certificates(folder, mode == "expired").wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    say(port=server.server_port)
    sys.stdin.read()


def verify(_folder, public_key):
    """Reads requests as `https` prints them, a line each; the judge is the `cryptography` package."""
    import base64

    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key.removeprefix("whpk_")))
    for line in sys.stdin:
        request = json.loads(line)
        headers = request["headers"]
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{request['body']}"
        version, signature = headers["webhook-signature"].split(",")
        try:
            key.verify(base64.b64decode(signature), signed.encode())
            say(genuine=version == "v1a")
        except InvalidSignature:
            say(genuine=False)


def sns(folder):
    import boto3

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = dict(os.environ, BIND_HOST="127.0.0.1", GATEWAY_PORT=str(port))
    program = os.path.join(os.path.dirname(sys.executable), "ministack")
    cloud = subprocess.Popen(
        [program], env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        subscribers(boto3, f"http://127.0.0.1:{port}", port)
    finally:
        cloud.kill()


def subscribers(boto3, endpoint, port):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    settings = {
        "endpoint_url": endpoint,
        "region_name": "eu-west-1",
        "aws_access_key_id": "AKIATEST",
        "aws_secret_access_key": "test",
    }
    topics, queues = boto3.client("sns", **settings), boto3.client("sqs", **settings)

    class Subscriber(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            message = json.loads(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()
            if message["Type"] == "SubscriptionConfirmation":
                topics.confirm_subscription(TopicArn=message["TopicArn"], Token=message["Token"])
                confirmed.set()
            else:
                say(http=message)

        def log_message(self, *_):
            pass

    confirmed = threading.Event()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Subscriber)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    arns, urls = {}, {}
    for name, attributes in (("alerts", {}), ("alerts.fifo", {"FifoTopic": "true"})):
        arns[name] = topics.create_topic(Name=name, Attributes=attributes)["TopicArn"]
        fifo = {"FifoQueue": "true"} if attributes else {}
        urls[name] = queues.create_queue(QueueName=name, Attributes=fifo)["QueueUrl"]
        queue = queues.get_queue_attributes(QueueUrl=urls[name], AttributeNames=["QueueArn"])
        topics.subscribe(TopicArn=arns[name], Protocol="sqs", Endpoint=queue["Attributes"]["QueueArn"])
    hook = f"http://127.0.0.1:{server.server_port}/"
    topics.subscribe(TopicArn=arns["alerts"], Protocol="http", Endpoint=hook)
    confirmed.wait(30)
    say(endpoint=endpoint, door=door(endpoint), topic=arns["alerts"], fifo=arns["alerts.fifo"])
    # Every line asks for what the queues hold.
    for _line in sys.stdin:
        for name, url in urls.items():
            found = queues.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1, AttributeNames=["All"]
            )
            for message in found.get("Messages", []):
                say(queue=name, message=json.loads(message["Body"]), attributes=message.get("Attributes", {}))
        say(done=True)


def door(cloud):
    """Passes requests on to `cloud`. Like a role whose trust policy names an external id, it refuses to
    let anybody assume a role without it, and it tells which access key each request was signed with."""
    import re
    import urllib.parse

    class Door(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            asked = {name: values[0] for name, values in urllib.parse.parse_qs(body.decode()).items()}
            signed_by = re.search(r"Credential=([^/]+)/", self.headers["authorization"]).group(1)
            refused = asked.get("Action") == "AssumeRole" and asked.get("ExternalId") != "ours-42"
            if refused:
                status, answer = 403, b"<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>" \
                    b"<Message>not authorized to perform sts:AssumeRole</Message></Error></ErrorResponse>"
            else:
                request = urllib.request.Request(cloud, body, dict(self.headers))
                try:
                    with urllib.request.urlopen(request) as passed:
                        status, answer = passed.status, passed.read()
                except urllib.error.HTTPError as error:
                    status, answer = error.code, error.read()
            given = re.search(rb"<AccessKeyId>([^<]+)<", answer)
            say(action=asked.get("Action"), role=asked.get("RoleArn"), signed_by=signed_by, status=status,
                given=given.group(1).decode() if given else None)
            self.send_response(status)
            self.send_header("content-type", "text/xml")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


{"mail": mail, "https": https, "verify": verify, "sns": sns}[sys.argv[1]](*sys.argv[2:])
