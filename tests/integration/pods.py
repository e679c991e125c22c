"""Pods without Kubernetes: one network namespace each, with the files and names a pod would have.

A pod's /etc is an overlay of this machine's, so secrets, config maps, host names and users can be
put in place without touching anything outside.
"""

import contextlib
import os
import shutil
import subprocess
import textwrap
from pathlib import Path

USER = 1000


def can_make_namespaces():
    return os.geteuid() == 0 and shutil.which("ip") and shutil.which("unshare")


def run(*argv):
    subprocess.run(argv, check=True, capture_output=True, text=True)


@contextlib.contextmanager
def network(names):
    """Make a bridge and a namespace per name; yield the address of each."""
    bridge = f"swb{os.getpid() % 10000}"
    made = []
    try:
        run("ip", "link", "add", bridge, "type", "bridge")
        run("ip", "link", "set", bridge, "up")
        addresses = {}
        for index, name in enumerate(names):
            space, veth = f"{bridge}-{name}", f"{bridge}v{index}"
            run("ip", "netns", "add", space)
            made.append(space)
            run("ip", "link", "add", veth, "type", "veth", "peer", "name", "eth0", "netns", space)
            run("ip", "link", "set", veth, "master", bridge, "up")
            addresses[name] = (space, f"10.231.7.{index + 2}")
            run("ip", "-n", space, "addr", "add", f"{addresses[name][1]}/24", "dev", "eth0")
            run("ip", "-n", space, "link", "set", "eth0", "up")
            run("ip", "-n", space, "link", "set", "lo", "up")
        yield addresses
    finally:
        for space in made:
            lose(space)
            subprocess.run(["ip", "netns", "del", space], check=False)
        subprocess.run(["ip", "link", "del", bridge], check=False)


def lose(space):
    """Lose a pod: everything in its namespace ends at once."""
    pids = subprocess.run(
        ["ip", "netns", "pids", space], capture_output=True, text=True, check=False
    ).stdout.split()
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), 9)


def start(container, *, space, folder, files, hosts, env):
    """Start a container's command in a namespace, as user 1000; files: path under /etc -> text."""
    upper, work = folder / "etc", folder / "work"
    for path in (upper, work):
        path.mkdir(parents=True)
    passwd = Path("/etc/passwd").read_text() + f"pod:x:{USER}:{USER}::/tmp:/bin/bash\n"
    host_lines = [f"{address} {name}" for name, address in hosts.items()]
    texts = {
        "passwd": passwd,
        "hosts": "\n".join(["127.0.0.1 localhost", *host_lines, ""]),
        **files,
    }
    for name, text in texts.items():
        target = upper / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(0o755 if "bin/" in name else 0o644)
    for name in files:
        if "ssh" in name:
            (upper / name).chmod(0o440)
            os.chown(upper / name, 0, USER)
    argv = [*container["command"], *container.get("args", [])]
    setup = textwrap.dedent(f"""
        mount -t overlay overlay -o lowerdir=/etc,upperdir={upper},workdir={work} /etc
        mkdir -p /run/sshd
        exec setpriv --reuid {USER} --regid {USER} --clear-groups -- "$@"
    """)
    with (folder / "log").open("w") as log:
        return subprocess.Popen(
            ["ip", "netns", "exec", space, "unshare", "-m", "bash", "-euc", setup, "pod", *argv],
            env={"PATH": "/etc/bin:/usr/bin:/bin", "HOME": "/tmp", "LD_LIBRARY_PATH": "", **env},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
