"""The cluster's CA and a client's certificate are replaced while we run; files are half written on the
way.
"""

import asyncio
import contextlib
import json
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from rowlock_operator.api.kinds import WORK_QUEUES
from rowlock_operator.cluster.client import KubeClient
from rowlock_operator.cluster.credentials import load_in_cluster, load_kubeconfig
from rowlock_operator.cluster.informer import Informer
from rowlock_operator.cluster.kinds import CONFIG_MAPS
from rowlock_operator.cluster.lease import LeaseRecord
from rowlock_operator.cluster.lease_store import KubeLease, lease_client
from rowlock_operator.cluster.replies import TlsRefused
from rowlock_operator.errors import ApiUnavailable, GiveUp
from tests.integration.cluster_room.conftest import until
from tests.integration.cluster_room.test_informer import child
from tests.integration.cluster_room.test_informer import key as config_map
from tests.integration.cluster_room.test_intake import key, kopf_watches, watching, work_queue
from tests.services.kube import KubeControlPlane
from tests.services.process import find_program

pytestmark = pytest.mark.integration
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@pytest.mark.slow
def test_watches_and_lease_go_on_after_the_api_server_came_back_under_another_ca(
    plane: KubeControlPlane, namespace: str
) -> None:
    async def scenario() -> None:
        credentials = load_kubeconfig(plane.kubeconfig)
        async with (
            watching(credentials, namespace, resync_seconds=3600.0) as (client, watcher, _added),
            lease_client(credentials) as asking,
        ):
            lease = KubeLease(asking, namespace, "rowlock-operator")
            held = await lease.write(LeaseRecord("a", 15.0, None, None, 0))
            informer = Informer(
                client,
                CONFIG_MAPS,
                namespaces=(namespace,),
                label_selector="rowlock.dev/work-queue",
                compact=lambda manifest: str(manifest["data"]["value"]),
                on_change=lambda _key: None,
            )
            following = asyncio.create_task(informer.run())
            try:
                await kopf_watches(client, watcher, namespace)
                old = (plane.folder / "ca.crt").read_bytes()
                await asyncio.to_thread(plane.replace_authority)
                assert (plane.folder / "ca.crt").read_bytes() != old
                held = await lease.write(held)
                async with KubeClient(load_kubeconfig(plane.kubeconfig)) as other:
                    await other.create(CONFIG_MAPS, child(namespace, "one"))
                    await kopf_watches(other, watcher, namespace)
                    await other.create(WORK_QUEUES, work_queue(namespace, "one"))
                await until(lambda: watcher.primaries.get(key(namespace, "one")), "kopf goes on", 90)
                await until(lambda: informer.get(config_map(namespace, "one")), "the informer goes on", 90)
                assert lease.tls_refused_seconds() == 0.0
            finally:
                following.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await following

    asyncio.run(scenario())


def test_a_certificate_that_stays_refused_is_counted_until_it_is_accepted(
    plane: KubeControlPlane, authority: Path, namespace: str, tmp_path: Path
) -> None:
    """A CA file that is not the cluster's, as one that nobody brings up to date; then the right one comes."""
    mounted = tmp_path / "mounted.crt"
    shutil.copy(authority / "ca.crt", mounted)
    config = json.loads(plane.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["certificate-authority"] = str(mounted)
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    now = [0.0]

    async def scenario() -> None:
        async with lease_client(load_kubeconfig(tmp_path / "kubeconfig")) as client:
            lease = KubeLease(client, namespace, "rowlock-operator", lambda: now[0])
            for second in (0.0, 100.0, 180.0):
                now[0] = second
                with pytest.raises(TlsRefused):
                    await lease.read()
                assert lease.tls_refused_seconds() == second
            bundle = (
                (authority / "ca.crt").read_bytes()
                + b"# the next one, caf\xc3\xa9\n"
                + (plane.folder / "ca.crt").read_bytes()
            )
            mounted.write_bytes(bundle)
            await lease.write(LeaseRecord("a", 15.0, None, None, 0))
            assert lease.tls_refused_seconds() == 0.0

    asyncio.run(scenario())


# -- a server of our own, which tells what certificate it was shown
# ---------------------------------------------------


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run([find_program("openssl"), *arguments], cwd=folder, check=True, capture_output=True)


def new_authority(folder: Path, name: str) -> None:
    """A CA `name`, and with it a certificate of a server and one of a client, each `<what>-<name>`."""
    (folder / "san").write_text("subjectAltName=IP:127.0.0.1\n")
    ca = ("-CA", f"{name}.crt", "-CAkey", f"{name}.key", "-CAcreateserial", "-days", "2", "-extfile", "san")
    openssl(
        folder,
        "req",
        "-x509",
        *KEY,
        "-keyout",
        f"{name}.key",
        "-out",
        f"{name}.crt",
        "-days",
        "2",
        "-subj",
        f"/CN={name}",
    )
    for what in ("server", "client"):
        made = f"{what}-{name}"
        openssl(folder, "req", *KEY, "-keyout", f"{made}.key", "-out", f"{made}.csr", "-subj", f"/CN={made}")
        openssl(folder, "x509", "-req", "-in", f"{made}.csr", *ca, "-out", f"{made}.crt")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("authority")
    new_authority(folder, "ca")
    new_authority(folder, "next")
    return folder


class TlsServer:
    """Asks for a client's certificate; answers 401 to all but `accepts`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.accepts = folder, 0, ""
        self.shown: list[str] = []
        self._runner: web.AppRunner | None = None

    async def start(self, name: str) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(self.folder / f"server-{name}.crt", self.folder / f"server-{name}.key")
        for trusted in ("ca", "next"):
            tls.load_verify_locations(self.folder / f"{trusted}.crt")
        tls.verify_mode = ssl.CERT_OPTIONAL
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=tls).start()
        self.port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        shown = request.transport.get_extra_info("peercert") or {}
        name = next(
            (value for part in shown.get("subject", ()) for key, value in part if key == "commonName"), ""
        )
        self.shown.append(name)
        if self.accepts not in ("", name):
            return web.json_response({"message": "Unauthorized"}, status=401)
        return web.json_response({"metadata": {"name": "one"}})


@contextlib.asynccontextmanager
async def serving(authority: Path, mounted: Path) -> AsyncIterator[tuple[TlsServer, KubeClient]]:
    """The server with the first CA, and a client whose files are `ca.crt`, `client.crt` and `client.key` of
    `mounted`.
    """
    server = TlsServer(authority)
    await server.start("ca")
    for name, source in (
        ("ca.crt", "ca.crt"),
        ("client.crt", "client-ca.crt"),
        ("client.key", "client-ca.key"),
    ):
        shutil.copy(authority / source, mounted / name)
    config = {
        "clusters": [
            {
                "name": "c",
                "cluster": {"server": f"https://127.0.0.1:{server.port}", "certificate-authority": "ca.crt"},
            }
        ],
        "users": [{"name": "u", "user": {"client-certificate": "client.crt", "client-key": "client.key"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    (mounted / "kubeconfig").write_text(json.dumps(config))
    try:
        async with KubeClient(load_kubeconfig(mounted / "kubeconfig")) as client:
            yield server, client
    finally:
        await server.stop()


async def asked(client: KubeClient) -> None:
    await client.get(CONFIG_MAPS, "default", "one")


def test_a_client_certificate_that_was_refused_is_not_shown_again_once_its_files_hold_another(
    authority: Path, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with serving(authority, tmp_path) as (server, client):
            await asked(client)
            shutil.copy(authority / "client-next.crt", tmp_path / "client.crt")
            await asked(client)
            assert server.shown == ["client-ca", "client-ca"], "an open connection goes on"
            server.accepts = "client-next"
            with pytest.raises(ApiUnavailable):
                await asked(client)
            with pytest.raises(ApiUnavailable):
                await asked(client)  # the key does not fit yet: the old pair stays in use
            shutil.copy(authority / "client-next.key", tmp_path / "client.key")
            await asked(client)
            assert server.shown[-1] == "client-next"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"\n",
        b"no certificate",
        b"HALF",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        None,
    ],
    ids=["empty", "blank", "text", "half written", "nonsense", "gone"],
)
def test_a_ca_file_that_cannot_be_used_changes_nothing_and_is_told_once(
    authority: Path, tmp_path: Path, broken: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with serving(authority, tmp_path) as (server, client):
            await asked(client)
            whole = (authority / "ca.crt").read_bytes()
            if broken is None:
                (tmp_path / "ca.crt").unlink()
            else:
                (tmp_path / "ca.crt").write_bytes(
                    whole + whole[: len(whole) // 2] if broken == b"HALF" else broken
                )
            for _ in range(2):
                await server.stop()
                await server.start("ca")
                await asked(client)
            told = [record for record in caplog.records if record.message == "certificates_unreadable"]
            assert len(told) == 1
            await server.stop()
            await server.start("next")
            with pytest.raises(TlsRefused):
                await asked(client)
            shutil.copy(authority / "next.crt", tmp_path / "ca.crt")
            await asked(client)

    asyncio.run(scenario())


def test_a_pod_whose_ca_file_is_broken_from_the_start_is_told_which_file(
    authority: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    (tmp_path / "token").write_text("t")
    (tmp_path / "namespace").write_text("shop")
    with pytest.raises(GiveUp, match=r"ca\.crt"):
        load_in_cluster(tmp_path)
    (tmp_path / "ca.crt").write_text("")
    with pytest.raises(GiveUp, match="empty"):
        load_in_cluster(tmp_path)
    shutil.copy(authority / "ca.crt", tmp_path / "ca.crt")
    assert load_in_cluster(tmp_path).namespace == "shop"
