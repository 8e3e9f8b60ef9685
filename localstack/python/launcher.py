"""Starts isolated copies of one emulator, each in milliseconds.

Importing an emulator takes seconds; forking a process that has imported it takes milliseconds. So this process
imports once and then forks a server for every instance that a test starts. It is controlled with lines of JSON:

    stdin   {"start": {"gateway": 4566, "emulators": ["moto"], "secret": "…"}}
    stdout  {"pid": 123, "port": 40123}
    stdin   {"stop": 123}
    stdout  {"stopped": 123}

The end of standard input means that the process that started this one is gone: all servers are killed, and this process
exits. Servers watch a pipe, so that they exit even if this process is killed.
"""

import contextlib
import hmac
import importlib
import io
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import traceback

HOST = "127.0.0.1"


def mend(*services):
    """Fixes differences between the emulator and AWS."""
    for service in services:
        importlib.import_module(f"mends.{service}")


def wsgi_name(header):
    """The name of a request's header in WSGI."""
    return "HTTP_" + header.upper().replace("-", "_")


class Guarded:
    """A server that accepts requests only from the gateway, not from web pages that find its port.

    The gateway checks the client; its own requests contain a secret.
    """

    HEADER = "x-payinfra-gateway"

    def __init__(self, secret):
        self.secret = secret.encode()

    def is_gateway(self, given):
        return hmac.compare_digest(self.secret, given)

    def wsgi(self, app):
        def guarded(environ, start_response):
            if self.is_gateway(environ.get(wsgi_name(self.HEADER), "").encode("latin-1")):
                return app(environ, start_response)
            start_response("403 Forbidden", [("Content-Length", "0")])
            return []

        return guarded

    def asgi(self, app):
        async def guarded(scope, receive, send):
            headers = dict(scope.get("headers", []))
            if scope["type"] == "lifespan" or self.is_gateway(headers.get(self.HEADER.encode(), b"")):
                await app(scope, receive, send)
            elif scope["type"] == "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1008})
            else:
                await send({"type": "http.response.start", "status": 403, "headers": [(b"content-length", b"0")]})
                await send({"type": "http.response.body", "body": b""})

        return guarded


class OneAtATime:
    """A WSGI application that handles requests sequentially.

    moto's models are plain objects: changes read, compute and write back, and services access each other's models (ECS
    registers targets of load balancers, RDS reads subnets). Werkzeug runs each request in a thread, so concurrent
    changes would be lost, and lists would fail because a dictionary grows during iteration. One lock for all services,
    including reads, costs nothing: Python runs one thread at a time anyway.
    """

    def __init__(self, app, account):
        self.app = app
        self.account = account
        self.lock = threading.Lock()

    def __call__(self, environ, start_response):
        # Reading and writing happen outside of the lock, so that a slow client does not block the others.
        if length := environ.get("CONTENT_LENGTH"):
            environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(int(length)))
        from mends import interfaces
        from mends.conditions import CONDITIONS, HEADER

        with self.lock:
            CONDITIONS.begin(environ.get(wsgi_name(HEADER)))
            interfaces.update(self.account)
            try:
                return self.app(environ, start_response)
            finally:
                CONDITIONS.advance()
                interfaces.update(self.account)


class Moto:
    """moto, served by Werkzeug's threaded server."""

    SERVICES = (
        "acm", "applicationautoscaling", "cloudtrail", "cloudwatch", "ec2", "ecs", "elb", "elbv2", "events", "iam",
        "logs", "moto_api", "rds", "resourcegroupstaggingapi", "route53", "sns", "sqs", "sts", "wafv2",
    )

    REGIONS = ("us-east-1", "us-east-2", "us-west-2")

    MENDS = (
        "speed", "autoscaling", "ec2_network", "ec2_groups", "ec2_transit", "ec2_peering", "ec2_answers", "ec2_endpoints",
        "ec2_lists", "interfaces",
        "ecs", "elbv2", "iam", "wafv2", "acm", "cloudwatch", "rds", "rds_failover", "route53",
    )

    def __init__(self):
        # moto reads this on import: a few of the images that every account sees, instead of moto's thousand.
        os.environ["MOTO_AMIS_PATH"] = os.path.join(os.path.dirname(os.path.abspath(__file__)), "images.json")
        from moto.moto_server import werkzeug_app

        mend(*self.MENDS)
        self.handler = werkzeug_app.MotoRequestHandler
        self.handler.log_request = lambda *_arguments, **_options: None
        self.app = werkzeug_app.DomainDispatcherApplication(werkzeug_app.create_backend_app)
        for service in self.SERVICES:
            self.app.app_instances[service] = werkzeug_app.create_backend_app(service)
        self.load_regions()

    def load_regions(self):
        """Creates the accounts' default networks and AWS's managed policies, which takes most of a first call."""
        from moto.backends import get_backend

        account = os.environ["MOTO_ACCOUNT_ID"]
        get_backend("iam")[account]["aws"]
        for service in ("ec2", "elbv2", "rds", "ecs"):
            for region in self.REGIONS:
                get_backend(service)[account][region]

    def serve(self, listener, options):
        from moto.moto_api._internal import mock_random
        from werkzeug.serving import make_server

        # Otherwise every instance would generate the same ids.
        mock_random.seed()
        # Threads switch fifty times as often as usual, so that race conditions show in the first test instead of once a
        # month. Under the lock this costs nothing.
        sys.setswitchinterval(1e-4)

        host, port = listener.getsockname()
        os.environ["MOTO_PORT"] = str(port)
        from mends import traffic

        account = os.environ["MOTO_ACCOUNT_ID"]
        app = OneAtATime(traffic.served(self.app, account), account)
        app = Guarded(options["secret"]).wsgi(app)
        make_server(
            host, port, app, threaded=True, request_handler=self.handler, fd=listener.fileno()
        ).serve_forever()


class Ministack:
    """MiniStack, served by Hypercorn, in whose one event loop requests that change something do not interleave."""

    SERVICES = (
        "apigateway", "apigateway_v1", "cloudtrail", "cloudwatch_logs", "dynamodb", "dynamodb_streams", "eventbridge",
        "kms", "lambda_svc", "s3", "secretsmanager", "sns", "sqs", "ssm", "tagging",
    )
    # MiniStack's modules copy the port into constants on import, long before it is known.
    PORT = "64999"

    def __init__(self):
        os.environ["GATEWAY_PORT"] = self.PORT
        self.app = importlib.import_module("ministack.app").app
        importlib.import_module("hypercorn.asyncio")
        for service in self.SERVICES:
            importlib.import_module(f"ministack.services.{service}")
        mend("dynamodb", "ministack", "sns", "events", "cloudtrail", "functions", "apigateway", "apigatewayv2", "metrics")

    def serve(self, listener, options):
        import asyncio

        from hypercorn.asyncio import serve
        from hypercorn.config import Config

        # The address that MiniStack returns as its own, also to functions, is the gateway's.
        self.set_port(str(options["gateway"]))
        os.environ["AWS_ENDPOINT_URL"] = f"http://{HOST}:{options['gateway']}"
        config = Config()
        config.bind = [f"fd://{listener.fileno()}"]
        config.keep_alive_timeout = 600
        config.loglevel = "WARNING"
        from mends import events, permissions, stores

        app = Guarded(options["secret"]).asgi(permissions.served(stores.served(events.served(self.app))))
        asyncio.run(serve(app, config))

    def set_port(self, port):
        os.environ["GATEWAY_PORT"] = port
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] != "ministack":
                continue
            for key, value in list(vars(module).items()):
                if isinstance(value, str) and self.PORT in value and not key.startswith("__"):
                    setattr(module, key, value.replace(self.PORT, port))


class Localstack:
    """LocalStack's community edition. It reads its settings on import, so it cannot be imported in advance."""

    def serve(self, listener, _options):
        _, port = listener.getsockname()
        listener.close()
        os.environ["GATEWAY_LISTEN"] = f"{HOST}:{port}"
        sys.argv = ["localstack"]
        mend("iam", "localstack")
        from localstack.runtime.main import main

        main()


BACKENDS = {"localstack": Localstack, "ministack": Ministack, "moto": Moto}


class Launcher:
    """Forks servers and stops them in order."""

    def __init__(self, backend, answers):
        self.backend = backend
        self.answers = answers
        self.servers = {}
        # Nothing is ever written: the reading end gets an end of file when the last writing end is closed, that is,
        # when this process dies.
        self.alive = os.pipe()

    def start(self, options):
        listener = socket.create_server((HOST, 0), backlog=1024)
        port = listener.getsockname()[1]
        folder = tempfile.mkdtemp(prefix="payinfra-local-")
        pid = os.fork()
        if pid == 0:
            self.run_server(listener, folder, options)
        listener.close()
        self.servers[pid] = folder
        return {"pid": pid, "port": port}

    def run_server(self, listener, folder, options):
        """The whole life of the child process: it never returns into the launcher's loop."""
        code = 1
        try:
            os.setpgid(0, 0)
            os.close(self.alive[1])
            os.dup2(os.open(os.devnull, os.O_RDWR), 0)
            os.close(self.answers.fileno())
            tempfile.tempdir = os.environ["TMPDIR"] = folder
            os.environ["EMULATORS"] = ",".join(options["emulators"])
            threading.Thread(target=self.watch, args=(folder,), daemon=True).start()
            self.backend.serve(listener, options)
            code = 0
        except BaseException:  # noqa: BLE001 - whatever it is, the launcher's own handlers must not see it
            traceback.print_exc()
        finally:
            os._exit(code)

    def watch(self, folder):
        """Ends this server when the launcher has died."""
        os.read(self.alive[0], 1)
        shutil.rmtree(folder, ignore_errors=True)
        os.killpg(0, signal.SIGKILL)

    def stop(self, pid):
        folder = self.servers.pop(pid, None)
        if folder:
            # A server that was killed in its first millisecond is not a group leader yet.
            for kill in (os.killpg, os.kill):
                with contextlib.suppress(ProcessLookupError):
                    kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            shutil.rmtree(folder, ignore_errors=True)
        return {"stopped": pid}

    def run(self):
        for line in sys.stdin:
            command = json.loads(line)
            answer = self.start(command["start"]) if "start" in command else self.stop(command["stop"])
            print(json.dumps(answer), file=self.answers, flush=True)
        for pid in list(self.servers):
            self.stop(pid)


def main():
    # The output of an emulator must not be mistaken for a response.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    launcher = Launcher(BACKENDS[sys.argv[1]](), answers)
    print(json.dumps({"ready": sys.argv[1]}), file=answers, flush=True)
    launcher.run()


if __name__ == "__main__":
    main()
