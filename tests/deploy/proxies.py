"""The proxies of deploy/, as they are there but for ports and files of their own."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.support.processes import ROOT, Program, free_port

PROXIES = ("haproxy", "nginx")
_NGINX_STICKY = "        hash $remote_addr consistent;\n"
_HAPROXY_STICKY = """\
    balance source
    hash-type consistent
    cookie rtwist insert indirect nocache httponly
"""


class Proxy(Program):
    """A running proxy on `port` of 127.0.0.1, before what listens on the `targets`; of so many `connections`."""

    def __init__(
        self, kind: str, targets: Sequence[int], folder: Path, *, sticky: bool = True, connections: int = 1000
    ) -> None:
        path = shutil.which(kind) or shutil.which(kind, path="/usr/sbin:/usr/local/sbin")
        assert path, f"{kind} is missing: run `make test`, which installs it"
        self.port = free_port()
        text = configuration(kind, self.port, targets, connections)
        if not sticky:
            text = without_stickiness(kind, text)
        file = folder / f"{kind}-{self.port}.conf"
        if kind == "haproxy":
            file.write_text(text)
            super().__init__([path, "-db", "-f", str(file)])
        else:
            own = f"daemon off; pid {folder}/nginx-{self.port}.pid; error_log stderr warn;"
            file.write_text(_with_folders(text, folder))
            super().__init__([path, "-p", str(folder), "-c", str(file), "-g", own, "-e", "stderr"])
        self.wait_for_port(self.port)


def configuration(kind: str, port: int, targets: Sequence[int], connections: int = 1000) -> str:
    """The file of deploy/, on free ports."""
    if kind == "haproxy":
        text = (ROOT / "deploy" / "haproxy.cfg").read_text()
        text = _replaced(text, "bind :80\n", f"bind 127.0.0.1:{port}\n")
        # Two hosts in one: what it may take is more than a test's machine allows to open.
        text = text.replace("maxconn 100000", f"maxconn {connections}")
        servers = [f"    server s{target} 127.0.0.1:{target} cookie s{target}\n" for target in targets]
        text = _replaced(text, "    server one 127.0.0.1:8009 cookie one\n", "".join(servers))
        anyway = [
            f"    server s{target}-anyway 127.0.0.1:{target} cookie s{target} backup no-check\n"
            for target in targets
        ]
        line = "    server one-anyway 127.0.0.1:8009 cookie one backup no-check\n"
        return _replaced(text, line, "".join(anyway))
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    text = _replaced(text, "listen 80;", f"listen 127.0.0.1:{port};")
    text = _replaced(text, "worker_rlimit_nofile 65536;", "worker_rlimit_nofile 4096;")
    text = _replaced(text, "worker_connections 32768;", "worker_connections 1024;")
    servers = [f"server 127.0.0.1:{target} max_fails=1 fail_timeout=2s;" for target in targets]
    return _replaced(text, "server 127.0.0.1:8009 max_fails=1 fail_timeout=2s;", " ".join(servers))


def without_stickiness(kind: str, text: str) -> str:
    """Each request to the next host, whoever it comes from."""
    if kind == "nginx":
        return _replaced(text, _NGINX_STICKY, "")
    return re.sub(r" cookie s\d+", "", _replaced(text, _HAPROXY_STICKY, "    balance roundrobin\n"))


def _with_folders(text: str, folder: Path) -> str:
    # Where nginx keeps bodies is compiled in, and not everybody may write there.
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    lines = "".join(f"    {kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    return _replaced(text, "http {\n", f"http {{\n{lines}")


def _replaced(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)
