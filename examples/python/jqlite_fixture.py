"""A jqlite server for the tests of a pytest run, in one file to copy; it needs nothing but Python.

In a `conftest.py`:

    pytest_plugins = ["jqlite_fixture"]

    @pytest.fixture(scope="session")
    def jqlite_words():
        return ["--models", "models.json"]

A test that takes `jqlite` gets a server in the state of its seed. There is one server a process, so that the workers of
pytest-xdist have one each. The command is `jqlite`, or what JQLITE names.
"""

import http.client
import json
import os
import subprocess
import urllib.parse

import pytest


class Refused(Exception):
    """A request that was not carried out."""

    def __init__(self, status, envelope):
        super().__init__(f"{status}: {envelope['message']}")
        self.status = status
        self.errors = envelope["errors"]


class Server:
    """A server in memory; `words` go behind `jqlite serve`."""

    def __init__(self, *words):
        command = [os.environ.get("JQLITE", "jqlite"), "serve", "--ephemeral", "--with-parent", "--json"]
        self.process = subprocess.Popen([*command, "--listen", "127.0.0.1:0", *words], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()  # it comes once requests are accepted
        if not line:
            raise RuntimeError("jqlite did not start; it said why on standard error")
        ready = json.loads(line)
        self.url, self.key = ready["url"], ready["key"]
        self.connection = http.client.HTTPConnection(urllib.parse.urlsplit(self.url).netloc, timeout=30)

    def send(self, request, key=None):
        """Sends a request, and gives its envelope, or raises `Refused`."""
        headers = {"Authorization": f"Bearer {key or self.key}", "Content-Type": "application/json"}
        self.connection.request("POST", "/jql", json.dumps(request), headers)
        answer = self.connection.getresponse()
        envelope = json.loads(answer.read())
        if answer.status != 200:
            raise Refused(answer.status, envelope)
        return envelope

    def query(self, intent, namespace, meta={}, key=None, **beside):
        """The `data` of a request: `query("create", "tickets.Tag", name="urgent")`."""
        return self.send({"__meta__": {"intent": intent, "namespace": namespace, **meta}, **beside}, key)["data"]

    def fixture(self, intent, **arguments):
        """`reset`, `snapshot`, `restore` or `clock`: `fixture("clock", advance="90d")`."""
        return self.query(intent, "system.Fixture", {"schema": "controller"}, **arguments)

    def stop(self):
        self.connection.close()
        self.process.kill()  # it has nothing to save
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture(scope="session")
def jqlite_words():
    """What goes behind `jqlite serve`; a `conftest.py` says what."""
    return []


@pytest.fixture(scope="session")
def jqlite_server(jqlite_words):
    server = Server(*jqlite_words)
    yield server
    server.stop()


@pytest.fixture
def jqlite(jqlite_server):
    """The server, as it was at its start."""
    jqlite_server.fixture("reset")
    return jqlite_server
