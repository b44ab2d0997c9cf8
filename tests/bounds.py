#!/usr/bin/env python3
"""Measures the numbers in docs/OPERATIONS.md about a gateway under bad conditions, side by side for each given program:

    sudo tests/bounds.py target/release/asteroid-gateway [ANOTHER ...]

- incomplete bodies: resident memory before and while 1,000 callers withhold the last byte of a body of 1 MiB, in a memory
  control group of 128 MiB, like a sidecar's, and without a limit;
- credentials: threads, and processor time in 10 idle seconds, with 2,000 credential files;
- dead paths: the time until a start is answered if the upstream's first address is a dead IPv6 one, and if the first name
  server is dead. Each runs in separate network and mount namespaces, which end with it.

Needs Linux, root, openssl, and iproute2."""

import json
import os
import re
import resource
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

AGENT = "/agents/8d0f7a52-1c5e-4b8e-9f59-2f6f1f0a7c11/execute"
CALLERS = 1_000
BODY = 1024 * 1024
CREDENTIALS = 2_000
# Addresses of an interface without a peer: the upstream listens at the first; packets to the others are lost.
UPSTREAM, DEAD_SERVER, DEAD_V6 = "192.0.2.1", "192.0.2.9", "2001:db8::9"
NAME = "asteroid.test"


class Gateway:
    """A running gateway; its ports are read from its log."""

    def __init__(self, program, directory, configuration, group=None):
        path = os.path.join(directory, "gateway.yaml")
        with open(path, "w") as file:
            json.dump(configuration, file)
        enter = (lambda: group.enter()) if group else None
        self.process = subprocess.Popen([program, "run", "--config", path], stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True, preexec_fn=enter)
        self.port = None
        for line in self.process.stdout:
            line = json.loads(line)
            if line.get("event") == "listener.started":
                self.port = self.port or int(line["address"].rsplit(":", 1)[1])
            if line.get("event") == "gateway.ready":
                break
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def proc(self, name):
        with open(f"/proc/{self.process.pid}/{name}") as file:
            return file.read()

    def status(self, field):
        return int(re.search(rf"^{field}:\s+(\d+)", self.proc("status"), re.M).group(1))

    def processor_seconds(self):
        fields = self.proc("stat").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()


class MemoryGroup:
    """A control group of either version, with a memory limit."""

    def __init__(self, limit):
        root = "/sys/fs/cgroup"
        self.is_first = os.path.exists(f"{root}/memory/memory.limit_in_bytes")
        parent = f"{root}/memory" if self.is_first else root
        self.directory = f"{parent}/asteroid-gateway-bounds-{os.getpid()}"
        os.mkdir(self.directory)
        self.write("memory.limit_in_bytes" if self.is_first else "memory.max", limit)

    def write(self, name, value):
        with open(os.path.join(self.directory, name), "w") as file:
            file.write(str(value))

    def read(self, name):
        with open(os.path.join(self.directory, name)) as file:
            return file.read()

    def enter(self):
        self.write("cgroup.procs", os.getpid())

    def has_killed(self):
        return "oom_kill 0" not in self.read("memory.oom_control" if self.is_first else "memory.events")

    def peak(self):
        return int(self.read("memory.max_usage_in_bytes" if self.is_first else "memory.peak"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.rmdir(self.directory)


def configuration(directory, **more):
    key = os.path.join(directory, "key")
    with open(key, "w") as file:
        file.write("ak-of-the-measurement-0123456789")
    return {
        "listeners": [{"address": "127.0.0.1:0", "tenant": {"fixed": "billing"}}],
        "admin": {"address": "127.0.0.1:0"},
        "credentials": {"main": {"file": key}},
        "tenants": {"billing": {"credential": "main"}},
        **more,
    }


def hold_bodies(port):
    """Opens connections whose callers withhold the last byte of their bodies, and returns them."""
    head = f"POST {AGENT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {BODY}\r\n\r\n"
    callers = []
    for _ in range(CALLERS):
        try:
            caller = socket.create_connection(("127.0.0.1", port), 5)
            callers.append(caller)
            caller.sendall(head.encode() + b"{" + b" " * (BODY - 2))
        except OSError:
            pass  # It was refused, or the gateway no longer listens.
    time.sleep(2)
    return callers


def count_refused(callers):
    refused = 0
    for caller in callers:
        caller.setblocking(False)
        try:
            refused += caller.recv(12).endswith(b" 503")
        except OSError:
            pass
    return refused


def held_bodies(program, directory, group=None):
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
    more = {"upstream": {"url": "http://127.0.0.1:9"}, "timeouts": {"body": "60s"}, "idempotency": {"memory": "16MiB"}}
    with Gateway(program, directory, configuration(directory, **more), group) as gateway:
        before = gateway.status("VmRSS")
        callers = hold_bodies(gateway.port)
        if group and group.has_killed():
            return f"{before / 1024:.0f} MiB before, killed for want of memory with {CALLERS} callers"
        during = gateway.status("VmRSS")
        told = f"{before / 1024:.0f} MiB before, {during / 1024:.0f} MiB with {CALLERS} callers"
        if group:
            told += f", at most {group.peak() / (1 << 20):.0f} MiB in the group"
        return f"{told}, {count_refused(callers)} answered with 503"


def held_bodies_in_a_group(program, directory):
    with MemoryGroup(128 << 20) as group:
        return held_bodies(program, directory, group)


def credentials(program, directory):
    files = {}
    for number in range(CREDENTIALS):
        path = os.path.join(directory, f"key-{number}")
        with open(path, "w") as file:
            file.write(f"ak-of-the-measurement-{number:010}")
        files[f"c{number}"] = {"file": path}
    more = {
        "upstream": {"url": "http://127.0.0.1:9"},
        "credentials": files,
        "tenants": {f"t{number}": {"credential": f"c{number}"} for number in range(CREDENTIALS)},
        "listeners": [{"address": "127.0.0.1:0", "tenant": {"fixed": "t0"}}],
    }
    with Gateway(program, directory, configuration(directory) | more) as gateway:
        time.sleep(5)
        most, start, before = 0, time.monotonic(), gateway.processor_seconds()
        while time.monotonic() < start + 10:
            most = max(most, gateway.status("Threads"))
            time.sleep(0.05)
        used = (gateway.processor_seconds() - before) / (time.monotonic() - start)
        return f"{most} threads at the most, {used:.1%} of a processor when idle"


def answers_names(server):
    """Answers each query for an IPv4 address with the upstream's, and every other query with no address."""
    while True:
        question, peer = server.recvfrom(512)
        end = question.index(b"\0", 12) + 5
        is_ipv4 = question[end - 4 : end - 2] == b"\0\1"
        answer = question[:2] + struct.pack("!5H", 0x8180, 1, int(is_ipv4), 0, 0) + question[12:end]
        if is_ipv4:
            answer += b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(UPSTREAM)
        server.sendto(answer, peer)


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def over_a_dead_path(program, directory, hosts, name_servers):
    """Returns the time until a start is answered. It is called in separate namespaces."""
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "dead", "type", "veth", "peer", "name", "nobody")
    run("ip", "link", "set", "nobody", "up")
    run("ip", "address", "add", f"{UPSTREAM}/24", "dev", "dead")
    run("ip", "-6", "address", "add", "2001:db8::1/64", "dev", "dead", "nodad")
    # Without this, the kernel would look for the neighbour, and soon report that there is none.
    run("ip", "link", "set", "dead", "arp", "off", "up")
    for path, text in [("/etc/hosts", hosts), ("/etc/resolv.conf", name_servers)]:
        replacement = os.path.join(directory, os.path.basename(path))
        with open(replacement, "w") as file:
            file.write(text)
        run("mount", "--bind", replacement, os.path.realpath(path))
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.53", 53))
    threading.Thread(target=answers_names, args=(server,), daemon=True).start()
    certificate, private_key = (os.path.join(directory, name) for name in ["tls.crt", "tls.key"])
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={NAME}",
        "-addext", f"subjectAltName=DNS:{NAME}", "-addext", "basicConstraints=critical,CA:FALSE", "-days", "2", "-out", certificate, "-keyout", private_key)
    asteroid = subprocess.Popen([program, "simulate", "--listen", f"{UPSTREAM}:8443", "--tls-certificate", certificate,
                                 "--tls-key", private_key], stdout=subprocess.DEVNULL)
    try:
        more = {"upstream": {"url": f"https://{NAME}:8443/agents/v2", "ca_file": certificate}}
        with Gateway(program, directory, configuration(directory, **more)) as gateway:
            start = time.monotonic()
            failed = 0
            while time.monotonic() < start + 60:
                caller = socket.create_connection(("127.0.0.1", gateway.port))
                caller.sendall(f"POST {AGENT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                               "Connection: close\r\nContent-Length: 2\r\n\r\n{}".encode())
                answer = caller.makefile("rb").read()
                if answer.startswith(b"HTTP/1.1 202"):
                    return f"{time.monotonic() - start:.2f} s to the first answer, {failed} starts refused before it"
                failed += 1
            return f"no answer in 60 s, {failed} starts refused"
    finally:
        asteroid.terminate()
        asteroid.wait(10)


def dead_ipv6(program, directory):
    return over_a_dead_path(program, directory, f"127.0.0.1 localhost\n{DEAD_V6} {NAME}\n{UPSTREAM} {NAME}\n", "")


def dead_name_server(program, directory):
    servers = f"nameserver {DEAD_SERVER}\nnameserver 127.0.0.53\n"
    return over_a_dead_path(program, directory, "127.0.0.1 localhost\n", servers)


MEASUREMENTS = {
    "held, 128 MiB": held_bodies_in_a_group,
    "held, no limit": held_bodies,
    "credentials": credentials,
    "dead IPv6 path": dead_ipv6,
    "dead name server": dead_name_server,
}

if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "--one":
        with tempfile.TemporaryDirectory() as directory:
            print(MEASUREMENTS[sys.argv[2]](sys.argv[3], directory), flush=True)
        sys.exit()
    for measurement in MEASUREMENTS:
        for program in sys.argv[1:]:
            one = [sys.executable, __file__, "--one", measurement, program]
            if measurement.startswith("dead"):
                one = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", *one]
            measured = subprocess.run(one, stdout=subprocess.PIPE, text=True, timeout=300)
            print(f"{measurement:17} {program}: {measured.stdout.strip() or 'failed'}", flush=True)
