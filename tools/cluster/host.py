"""The host cluster: the real upstream daemons on this very machine, inside namespaces and a cgroup of their
own.

A holder process (the pause program) owns a network and a mount namespace; every daemon joins them. Mounts,
links, nftables rules and sandboxes inside therefore end with the last process, whatever happened before.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.cluster import cgroups, configs, network, processes
from tools.cluster.api import Api, is_well
from tools.cluster.components import Component, components
from tools.cluster.containerd import ImageStore
from tools.cluster.debian import ensure_packages, find_program
from tools.cluster.dns import DEPLOYMENT_PATH, dns_manifests
from tools.cluster.errors import ClusterError
from tools.cluster.pki import ensure_pki
from tools.cluster.places import ClusterPlace, cache_folder, state_folder
from tools.cluster.programs import GROUPS, HOST_GROUPS, build_key, built_folder, ensure_programs
from tools.cluster.steps import step, wait_until
from tools.images.archive import write_program_archive

HOLDER = "holder"
LOG_LINES_SHOWN = 15

# Folders whose place is fixed in containerd and the kubelet; covered by private tmpfs inside the cluster.
PRIVATE_FOLDERS = ("/var/lib/cni", "/var/log/containers")

# The namespaces start as a slave of the machine's (new disks appear, nothing leaks out) and are shared
# inside, as the kubelet's mount propagation needs. /run is private: runtime state must not outlive the
# processes it describes.
HOLDER_SCRIPT = (
    "mount --make-rshared / && mount -t tmpfs -o mode=755 tmpfs /run && mkdir -p /run/lock && "
    + "".join(f"mount -t tmpfs tmpfs {folder} && " for folder in PRIVATE_FOLDERS)
    + 'exec "$0"'
)


class HostCluster:
    """One cluster on this machine."""

    def __init__(self, place: ClusterPlace) -> None:
        self._place = place
        self._network: network.Network | None = None

    # --- up
    # -------------------------------------------------------------------------------------------------------

    def up(self, archives: Callable[[], Iterable[Path]]) -> None:
        """Start everything that is missing; `archives` gives the image archives to bring in besides our own.

        Raises ClusterError with the failing daemon's last lines.
        """
        place = self._place
        programs = ensure_programs(HOST_GROUPS)
        ensure_packages()
        place.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        place.logs.mkdir(exist_ok=True)
        place.pids.mkdir(exist_ok=True)
        net = self._network = network.assign_network(place)
        with step("namespaces, links, cgroups"):
            joins = cgroups.ensure_cgroups(place.name)
            holder = self._ensure_holder(programs["pause"], joins)
            network.connect(net, holder_pid=holder.pid)
        with step("certificates and configuration"):
            ensure_pki(place.pki, net, configs.node_name(place.name))
            forwards = self._write_configs(net)
        daemons = components(place, net, programs)
        api = Api(net.api_server, place.pki)
        with ThreadPoolExecutor(max_workers=1) as beside:
            with step("containerd, etcd, kube-apiserver"):
                for name in ("containerd", "etcd", "kube-apiserver"):
                    self._ensure_daemon(daemons[name], holder, joins)
                self._await_daemon(daemons["containerd"])
                store = ImageStore(place, programs["ctr"])
                images = beside.submit(self._ensure_images, store, archives)
                self._await_daemon(daemons["kube-apiserver"], deadline_seconds=90)
            with step("controller-manager, scheduler, kubelet, kube-proxy, BuildKit"):
                for daemon in daemons.values():
                    if daemon.name != "kube-proxy":
                        self._ensure_daemon(daemon, holder, joins)
                # kube-proxy ends itself when the node's addresses change, from none to some included.
                wait_until(
                    "The node appearing in the API",
                    lambda: node_has_address(api, configs.node_name(place.name)),
                    deadline_seconds=60,
                    explain=lambda: self._last_lines("kubelet"),
                )
                self._ensure_daemon(daemons["kube-proxy"], holder, joins)
                for path, manifest in dns_manifests(dns_address=net.dns_address, forwards=forwards):
                    api.apply(path, manifest)
                for daemon in daemons.values():
                    self._await_daemon(daemon)
            with step("node Ready"):
                wait_until(
                    "The node becoming Ready",
                    lambda: node_is_ready(api, configs.node_name(place.name)),
                    deadline_seconds=60,
                    explain=lambda: self._last_lines("kubelet"),
                )
            with step("images"):
                images.result()
            with step("cluster DNS"):
                wait_until(
                    "CoreDNS becoming available",
                    lambda: dns_is_available(api),
                    deadline_seconds=60,
                    explain=lambda: self._last_lines("kubelet"),
                )

    def _ensure_holder(self, pause: Path, joins: list[Path]) -> processes.Identity:
        file = self._place.pids / HOLDER
        identity = processes.load(file)
        if identity and processes.is_alive(identity):
            return identity
        # Daemons left in namespaces without a holder could never be joined again.
        cgroups.kill_members(self._place.name)
        for folder in PRIVATE_FOLDERS:
            Path(folder).mkdir(parents=True, exist_ok=True)
        argv: list[str | Path] = [
            "unshare",
            "--mount",
            "--net",
            "--propagation",
            "slave",
            "--",
            "/bin/sh",
            "-c",
            HOLDER_SCRIPT,
            pause,
        ]
        identity = processes.spawn(argv, log=self._log(HOLDER), cgroup_files=joins, env=self._env())
        processes.save(identity, file)
        wait_until(
            "Entering the cluster's namespaces",
            lambda: _runs(identity.pid, pause),
            deadline_seconds=10,
            explain=lambda: self._last_lines(HOLDER),
            look_every_seconds=0.01,
        )
        return identity

    def _write_configs(self, net: network.Network) -> bool:
        """Write every configuration file; whether there is a name server for names outside the cluster."""
        place, conf, pki = self._place, self._place.conf, self._place.pki
        resolv = configs.resolv_conf(_machine_resolv_conf())
        runc = find_program("runc") or "runc"
        kubeconfigs = {
            conf / f"{user}.kubeconfig": configs.kubeconfig(network=net, user=user, pki=pki)
            for user in ("controller-manager", "scheduler", "proxy", "node")
        }
        configs.write_private(
            {
                **kubeconfigs,
                place.kubeconfig: configs.kubeconfig(network=net, user="admin", pki=pki),
                conf / "containerd.toml": configs.containerd_toml(
                    place, runc=runc, plugins=built_folder(GROUPS["cni"])
                ),
                conf / "buildkit.toml": configs.buildkit_toml(place),
                conf / "cni" / "10-rowlock.conflist": configs.cni_conflist(net, mtu=network.outward_mtu()),
                conf / "kubelet.json": configs.kubelet_config(place, net),
                conf / "proxy.json": configs.proxy_config(place, net),
                conf / "resolv.conf": resolv,
            }
        )
        return bool(resolv)

    def _ensure_daemon(self, daemon: Component, holder: processes.Identity, joins: list[Path]) -> None:
        file = self._place.pids / daemon.name
        identity = processes.load(file)
        if identity and processes.is_alive(identity):
            return
        enter = ["nsenter", "--target", str(holder.pid), "--mount"]
        if daemon.in_cluster_network:
            enter.append("--net")
        argv = [*enter, "--", *daemon.argv]
        started = processes.spawn(argv, log=self._log(daemon.name), cgroup_files=joins, env=self._env())
        processes.save(started, file)

    def _env(self) -> dict[str, str]:
        """containerd finds its shim, and every daemon nft and runc, through PATH; SSL_* let BuildKit trust
        what we trust.
        """
        system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        path = f"{built_folder(GROUPS['containerd'])}:{system}"
        kept = (
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "NO_PROXY",
            "http_proxy",
            "https_proxy",
            "no_proxy",
        )
        return {
            "PATH": path,
            "HOME": "/root",
            **{name: os.environ[name] for name in kept if name in os.environ},
        }

    def _await_daemon(self, daemon: Component, *, deadline_seconds: float = 60) -> None:
        file = self._place.pids / daemon.name

        def well() -> bool:
            identity = processes.load(file)
            if identity is None or not processes.is_alive(identity):
                raise ClusterError(
                    f"{daemon.name} ended right after its start; the end of"
                    f" {self._log(daemon.name)}:\n{self._last_lines(daemon.name)}\nMend the cause and run"
                    " `up` again; `down` clears everything."
                )
            return is_well(daemon.health)

        wait_until(
            f"{daemon.name} becoming healthy",
            well,
            deadline_seconds=deadline_seconds,
            explain=lambda: f"The end of {self._log(daemon.name)}:\n{self._last_lines(daemon.name)}",
        )

    def _ensure_images(self, store: ImageStore, archives: Callable[[], Iterable[Path]]) -> None:
        for archive in (*own_archives(), *archives()):
            store.ensure(archive)

    def _log(self, name: str) -> Path:
        return self._place.logs / f"{name}.log"

    def _last_lines(self, name: str) -> str:
        try:
            lines = self._log(name).read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return "(no log)"
        return "\n".join(line[:400] for line in lines[-LOG_LINES_SHOWN:])

    # --- down
    # -----------------------------------------------------------------------------------------------------

    def down(self) -> None:
        """End every process, take back every change outside, delete the cluster's folder. Repeatable."""
        place = self._place
        with step("processes ended"):
            cgroups.kill_members(place.name)
            for file in place.pids.glob("*") if place.pids.is_dir() else ():
                # Whoever could not be put into the cgroup is still known by pid and start time.
                identity = processes.load(file)
                if identity:
                    processes.end(identity, grace_seconds=2)
            cgroups.remove_cgroups(place.name)
        with step("network and files gone"):
            net = network.load_network(place)
            if net:
                network.disconnect(net)
            _unmount_below(place.folder)
            if place.folder.exists():
                shutil.rmtree(place.folder)
            if not any(state_folder().glob("clusters/*/network.json")):
                network.restore_forwarding()
                for folder in PRIVATE_FOLDERS:
                    with contextlib.suppress(OSError):
                        Path(folder).rmdir()  # only where it is empty, so only what we made


def own_archives() -> list[Path]:
    """Archives of the two images that are one built program each, made where missing."""
    made = []
    for group, image, arguments in (
        ("pause", configs.PAUSE_IMAGE, ()),
        ("coredns", configs.COREDNS_IMAGE, ()),
    ):
        archive = cache_folder() / "images" / f"{group}-{build_key(GROUPS[group])}.tar"
        if not archive.exists():
            program = built_folder(GROUPS[group]) / group
            write_program_archive(image=image, program=program, arguments=arguments, archive=archive)
        made.append(archive)
    return made


def node_is_ready(api: Api, node: str) -> bool:
    """Whether the node exists, reports Ready, and takes pods."""
    found = api.get(f"/api/v1/nodes/{node}")
    if found is None:
        return False
    ready = any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for condition in found["status"].get("conditions", [])
    )
    return ready and not found["spec"].get("taints")


def node_has_address(api: Api, node: str) -> bool:
    """Whether the kubelet has registered its node, addresses and pod range included."""
    found = api.get(f"/api/v1/nodes/{node}")
    return bool(found and found.get("status", {}).get("addresses") and found.get("spec", {}).get("podCIDR"))


def dns_is_available(api: Api) -> bool:
    """Whether a CoreDNS pod answers."""
    found = api.get(DEPLOYMENT_PATH)
    return bool(found and found.get("status", {}).get("availableReplicas"))


def _runs(pid: int, program: Path) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/exe") == str(program.resolve())
    except (FileNotFoundError, ProcessLookupError):
        return False


def _machine_resolv_conf() -> str:
    # Behind systemd-resolved the usual file names only a loopback address; its own file has the real servers.
    for file in (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf")):
        text = file.read_text() if file.exists() else ""
        if configs.resolv_conf(text):
            return text
    return ""


def _unmount_below(folder: Path) -> None:
    """Take away mounts below a folder that is about to be deleted; raises ClusterError where one stays."""
    targets = [line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for target in sorted((t for t in targets if t.startswith(f"{folder}/")), reverse=True):
        done = subprocess.run(["umount", target], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ClusterError(f"{target} is still in use and cannot be unmounted: {done.stderr.strip()}")
