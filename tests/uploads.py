#!/usr/bin/env python3
"""Measures the numbers in docs/OPERATIONS.md about uploads through a gateway, for each given program:

    tests/uploads.py target/release/asteroid-gateway [ANOTHER ...]

- memory: resident memory of the gateway before, during and after 200 uploads of 100 MiB at once. During them, while all move, and while
  the upstream takes nothing in the middle of all of them;
- processor time for each MiB that is passed on, beside nginx with `proxy_request_buffering off`, with the buffer that is its default and
  with a large one. The two take turns, and the ratio is the median of those of the turns.

Everything is on loopback, in cleartext, over HTTP/1.1. Needs Linux, Python 3.9 and nginx; takes about two minutes for each program. Run
it on a machine that does nothing else: it prints the load beside the figures."""

import json
import os
import re
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from bounds import Gateway, configuration

MIB = 1 << 20
SIZE = 100 * MIB
UPLOADS = 200
# Of each turn: so many connections, each with so many uploads, one after another.
CONNECTIONS, EACH = 8, 2
TURNS = 5
# If it takes longer than that, something hangs.
DEADLINE = 300
BOUNDARY = "b9b1cbba0f1f4e7f8f0f6d1c2f3a4b5c"


def body():
    """Returns a form with one file, whose content is random, so that the bytes of line ends and boundaries occur in it."""
    head = (f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="a.pdf"\r\n'
            "Content-Type: application/pdf\r\n\r\n").encode()
    tail = f"\r\n--{BOUNDARY}--\r\n".encode()
    content = memoryview(os.urandom(MIB) * (SIZE // MIB))[: SIZE - len(head) - len(tail)]
    return memoryview(head + bytes(content) + tail)


def request_head(port, length):
    return (f"POST /temp-files HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Length: {length}\r\n"
            f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n").encode()


class Upload:
    """One upload on a connection of its own."""

    def __init__(self, port, content):
        self.socket = socket.create_connection(("127.0.0.1", port), 5)
        self.socket.setblocking(False)
        self.parts = [memoryview(request_head(port, len(content))), content]
        self.sent, self.answer = 0, b""

    def send(self, limit):
        """Sends what the connection takes, until this many bytes of the body are sent. Returns whether there is more to send."""
        try:
            if len(self.parts) == 2:
                assert self.socket.send(self.parts[0]) == len(self.parts[0])
                self.parts.pop(0)
            while self.sent < min(limit, len(self.parts[0])):
                self.sent += self.socket.send(self.parts[0][self.sent : min(self.sent + MIB, limit)])
        except BlockingIOError:
            return True
        return False

    def receive(self):
        """Reads the answer. Returns whether it is there."""
        self.answer += self.socket.recv(65536) or b"the connection has ended"
        assert self.answer.startswith(b"HTTP/1.1 200 ") and not self.answer.endswith(b"ended"), self.answer
        return b"tempFiles" in self.answer


def move(uploads, limit, during=lambda: None, stall=None):
    """Sends all uploads up to this many bytes; without a limit, to their answers. Ends too if nothing moves for `stall` seconds."""
    waiting = selectors.DefaultSelector()
    for upload in uploads:
        waiting.register(upload.socket, selectors.EVENT_WRITE, upload)
    begun = last = time.monotonic()
    while waiting.get_map():
        ready = waiting.select(0.1)
        during()
        now = time.monotonic()
        assert now < begun + DEADLINE, "it takes too long"
        last = now if ready else last
        if stall and now > last + stall:
            break
        for key, events in ready:
            if events & selectors.EVENT_READ:
                if key.data.receive():
                    waiting.unregister(key.fileobj)
            elif not key.data.send(limit or sys.maxsize):
                if limit:
                    waiting.unregister(key.fileobj)
                else:
                    waiting.modify(key.fileobj, selectors.EVENT_READ, key.data)
    waiting.close()


class Sink:
    """A running upstream that reads what it gets, and can stop to."""

    def __init__(self):
        self.process = subprocess.Popen([sys.executable, __file__, "--sink"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())

    def tell(self, word):
        self.process.stdin.write(word + b"\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(10)


def sink():
    """Answers uploads once they are there. After `hold` on standard input it reads nothing until `go`."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    answer = json.dumps({"tempFiles": [{"id": "9b2f3c1e-6f0b-4d57-8f1c-0d1b6a0c9e21", "name": "a.pdf"}]}).encode()
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer)
    waiting = selectors.DefaultSelector()
    waiting.register(listener, selectors.EVENT_READ)
    waiting.register(sys.stdin, selectors.EVENT_READ)
    buffer, total = bytearray(MIB), 0
    print(listener.getsockname()[1], flush=True)
    while True:
        for key, _ in waiting.select():
            if key.fileobj is sys.stdin:
                word = sys.stdin.readline()
                print(total, flush=True)
                if word == "hold\n":
                    assert sys.stdin.readline() == "go\n"
                    print(total, flush=True)
            elif key.fileobj is listener:
                waiting.register(listener.accept()[0], selectors.EVENT_READ, {"head": b"", "left": 0})
            else:
                state, count = key.data, key.fileobj.recv_into(buffer)
                if count == 0:
                    waiting.unregister(key.fileobj)
                    key.fileobj.close()
                elif state["left"]:
                    state["left"] -= count
                    total += count
                else:
                    head, end, rest = (state["head"] + bytes(buffer[:count])).partition(b"\r\n\r\n")
                    state["head"] = b"" if end else head
                    if end:
                        length = int(re.search(rb"(?i)\ncontent-length: *(\d+)", head).group(1))
                        state["left"], total = length - len(rest), total + len(rest)
                assert state["left"] >= 0 if key.data else True
                if count and state["left"] == 0 and not state["head"]:
                    key.fileobj.sendall(answer)


def gateway(program, directory, port):
    more = {"upstream": {"url": f"http://127.0.0.1:{port}/agents/v2"}}
    return Gateway(program, directory, configuration(directory, **more))


def memory(program, content):
    with tempfile.TemporaryDirectory() as directory, Sink() as upstream, gateway(program, directory, upstream.port) as proxy:
        move([Upload(proxy.port, content)], None)
        before, samples = proxy.status("VmRSS"), []
        uploads = [Upload(proxy.port, content) for _ in range(UPLOADS)]
        sample = lambda: samples.append(proxy.status("VmRSS"))
        # A hundredth of each, so that all are under way.
        move(uploads, SIZE // 100)
        begun = time.monotonic()
        move(uploads, SIZE // 2, sample)
        upstream.tell(b"hold")
        move(uploads, None, stall=3)
        held = proxy.status("VmRSS")
        pending = sum(upload.sent for upload in uploads) // UPLOADS
        assert all(upload.sent < SIZE for upload in uploads)
        upstream.tell(b"go")
        move(uploads, None, sample)
        took = time.monotonic() - begun - 3
        for upload in uploads:
            upload.socket.close()
        time.sleep(2)
        kib = [before, statistics.median(samples), max(samples), held, proxy.status("VmRSS"), proxy.status("VmHWM")]
        mib = [f"{value / 1024:.1f} MiB" for value in kib]
        return (f"{UPLOADS} uploads of {SIZE // MIB} MiB at once: resident {mib[0]} before; {mib[1]} while all move (median), {mib[2]} at the "
                f"most; {mib[3]} while the upstream takes nothing in the middle of each (after {pending / MIB:.0f} MiB); {mib[4]} after; "
                f"highest {mib[5]}. {UPLOADS * SIZE / MIB / took:.0f} MiB/s")


class Nginx:
    """A running nginx that passes uploads on, unbuffered."""

    def __init__(self, directory, upstream, buffer):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        path = os.path.join(directory, f"nginx-{self.port}.conf")
        size = f"client_body_buffer_size {buffer};" if buffer else ""
        temporary = " ".join(f"{name}_temp_path {directory}/{name};" for name in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"])
        with open(path, "w") as file:
            file.write(f"daemon off; worker_processes 1; pid {path}.pid; error_log stderr warn; events {{ worker_connections 1024; }}\n"
                       f"http {{ access_log off; tcp_nodelay on; {temporary} client_max_body_size 0; {size}\n"
                       f"upstream asteroid {{ server 127.0.0.1:{upstream}; keepalive 64; }}\n"
                       f"server {{ listen 127.0.0.1:{self.port}; location / {{ proxy_pass http://asteroid/agents/v2/; proxy_http_version 1.1;\n"
                       "proxy_request_buffering off; proxy_set_header Connection ''; proxy_set_header X-Asteroid-Agents-Api-Key key; } } }\n")
        self.process = subprocess.Popen(["nginx", "-c", path])
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("nginx does not listen")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)


def processor_seconds(process):
    """Returns the processor time of a process and its children, all of which run."""
    with open(f"/proc/{process}/task/{process}/children") as file:
        children = file.read().split()
    nanoseconds = 0
    for task in os.listdir(f"/proc/{process}/task"):
        with open(f"/proc/{process}/task/{task}/schedstat") as file:
            nanoseconds += int(file.read().split()[0])
    return nanoseconds / 1e9 + sum(processor_seconds(int(child)) for child in children)


def turn(proxy, content):
    """Returns the milliseconds of processor time for each MiB that a proxy passes on."""
    before = processor_seconds(proxy.process.pid)
    for _ in range(EACH):
        uploads = [Upload(proxy.port, content) for _ in range(CONNECTIONS)]
        move(uploads, None)
        for upload in uploads:
            upload.socket.close()
    return (processor_seconds(proxy.process.pid) - before) * 1e3 / (CONNECTIONS * EACH * SIZE / MIB)


def processor(program, content):
    with tempfile.TemporaryDirectory() as directory, Sink() as upstream, \
            gateway(program, directory, upstream.port) as ours, \
            Nginx(directory, upstream.port, None) as default, Nginx(directory, upstream.port, "512k") as large:
        rows = {"gateway": ours, "nginx, its default buffer": default, "nginx, a buffer of 512 KiB": large}
        for proxy in rows.values():
            turn(proxy, content)
        measured = {name: [] for name in rows}
        for _ in range(TURNS):
            for name, proxy in rows.items():
                measured[name].append(turn(proxy, content))
        told = [f"gateway {statistics.median(measured['gateway']):.3f} ms for each MiB"]
        for name in list(rows)[1:]:
            ratios = [ours / theirs for ours, theirs in zip(measured["gateway"], measured[name])]
            told.append(f"{name} {statistics.median(measured[name]):.3f} ms, ratio {statistics.median(ratios):.2f} "
                        f"({min(ratios):.2f} to {max(ratios):.2f})")
        return "processor time: " + "; ".join(told)


def load():
    return f"load {' '.join(f'{value:.2f}' for value in os.getloadavg())} of {os.cpu_count()} processors"


if __name__ == "__main__":
    if sys.argv[1:] == ["--sink"]:
        sink()
    shared = body()
    for program in sys.argv[1:]:
        for measurement in [memory, processor]:
            print(f"{program}, {load()} before: {measurement(program, shared)}; {load()} after", flush=True)
