"""The images the bed brings: no registry is reachable, so each is built here and imported."""

from __future__ import annotations

import hashlib
from pathlib import Path

from testbed import components
from testbed.images import Image, installed, package_files, write_archive
from testbed.layout import Machine, cache_dir, engines_dir
from testbed.machines import inside
from testbed.node import PAUSE_IMAGE, SOCKET
from testbed.shell import run

COREDNS_IMAGE = "testbed.local/coredns:1"
LWS_IMAGE = "testbed.local/lws:1"
KUBERAY_IMAGE = "testbed.local/kuberay-operator:1"
SHELL_IMAGE = "testbed.local/shell:1"
"""busybox: what small test pods run."""
ENGINE_IMAGE = "testbed.local/vllm-cpu:1"
"""Debian's libraries and tools; the engine itself is lent by the node (see node.engine_mounts)."""

_PACKAGES = (
    *(
        "bash",
        "ca-certificates",
        "coreutils",
        "curl",
        "dash",
        "diffutils",
        "findutils",
        "g++",
        "grep",
        "gzip",
        "hostname",
        "iproute2",
    ),
    *("libbz2-1.0", "libc-bin", "libc6", "libexpat1", "libffi8", "libgcc-s1", "libgomp1"),
    *("liblzma5", "libncursesw6", "libnuma1", "libreadline8", "libsqlite3-0", "libssl3"),
    *("libstdc++6", "libtinfo6", "libuuid1", "mawk", "netbase", "openssl", "procps", "sed", "tar"),
    *("util-linux", "zlib1g"),
)


def _base_files() -> dict[str, Path]:
    wanted = [name for name in _PACKAGES if installed(name)]
    files = package_files(wanted)
    for path in ("/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/ld.so.cache"):
        files[path] = Path(path)
    for certificate in sorted(Path("/etc/ssl/certs").iterdir()):
        files[str(certificate)] = certificate
    return files


def _package_files() -> dict[str, Path]:
    """This repository's package: the engine's CPU plugin, and the job that writes small models."""
    source = Path(__file__).parents[1] / "src" / "shardwright"
    files = (path for path in sorted(source.rglob("*")) if path.is_file())
    return {
        f"/opt/shardwright/shardwright/{path.relative_to(source)}": path
        for path in files
        if path.suffix != ".pyc"
    }


def engine_image() -> Image:
    """Describe the image in which the real engine of this host runs, and its load tool."""
    found = (*engines_dir().glob("*/bin/vllm"), *engines_dir().glob("*/bin/aiperf"))
    # the engine's own Python first: the load tool's is called by its full name
    path = [str(entry.parent) for entry in sorted(found, key=lambda e: (e.name != "vllm", e))]
    path += ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin"]
    return Image(
        name=ENGINE_IMAGE,
        files=_base_files() | _package_files(),
        directories=("/tmp", "/root", "/home", "/proc", "/sys", "/dev", "/run", "/var/tmp"),  # noqa: S108
        links={"/bin": "usr/bin", "/sbin": "usr/sbin", "/lib": "usr/lib", "/lib64": "usr/lib64"},
        env={"PATH": ":".join(path), "HOME": "/root", "LANG": "C.UTF-8"},
    )


def _busybox(name: str, entrypoint: tuple[str, ...]) -> Image:
    busybox = Path("/bin/busybox")
    applets = run(busybox, "--list-full").split()
    return Image(
        name=name,
        files={"/bin/busybox": busybox},
        links={f"/{path}": "/bin/busybox" for path in applets if path != "bin/busybox"},
        directories=("/tmp", "/etc", "/root"),  # noqa: S108
        entrypoint=entrypoint,
        env={"PATH": "/bin:/sbin:/usr/bin:/usr/sbin"},
    )


def _static(name: str, component: components.Component) -> Image:
    binary = component.binaries[0]
    return Image(
        name=name,
        files={f"/{binary}": components.directory(component) / binary},
        directories=("/tmp",),  # noqa: S108
        entrypoint=(f"/{binary}",),
        user="65532:65532",
    )


def wanted(addons: frozenset[str]) -> tuple[Image, ...]:
    """Return the images that a bed with these controllers needs."""
    images = [
        _busybox(PAUSE_IMAGE, ("/bin/busybox", "sleep", "2147483647")),
        _busybox(SHELL_IMAGE, ()),
        _static(COREDNS_IMAGE, components.COREDNS),
    ]
    if "lws" in addons:
        images.append(_static(LWS_IMAGE, components.LWS))
    if "kuberay" in addons:
        images.append(_static(KUBERAY_IMAGE, components.KUBERAY))
    if engines_dir().exists():
        images.append(engine_image())
    return tuple(images)


def archive(image: Image) -> Path:
    """Build an image unless it is cached, and return its archive."""
    digest = hashlib.sha256(repr((image.name, image.env, image.entrypoint, image.user)).encode())
    for name, source in sorted(image.files.items()):
        status = source.lstat()
        digest.update(f"{name}\0{source}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    digest.update(repr(sorted(image.links.items())).encode())
    short = image.name.rsplit("/", 1)[1].replace(":", "-")
    target = cache_dir() / "images" / f"{short}-{digest.hexdigest()[:16]}.tar"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        for stale in target.parent.glob(f"{short}-*"):
            stale.unlink()
        write_archive(image, target)
    return target


def load(machine: Machine, image_archive: Path) -> None:
    """Import an archive into a node's containerd."""
    inside(
        machine,
        *("ctr", "-a", SOCKET, "-n", "k8s.io", "images", "import", str(image_archive)),
        timeout_s=300,
    )
