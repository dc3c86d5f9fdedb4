"""`rowlock credentials rotate`: a Secret at a real API server, a real worker that encrypts anew, and
everything readable at every moment.
"""

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

import rowlock_cli.commands.credentials.rotation
from rowlock_cli.commands.credentials.key_file import fingerprint, new_key
from rowlock_cli.commands.credentials.rotation import ANNOTATION, Rotation
from rowlock_cli.errors import Failed
from rowlock_cli.kube.cluster import Cluster, connected
from rowlock_cli.main import rowlock
from rowlock_web.vault.vault import Vault
from tests.integration.cli.kubelets import SECRET, Kubelets
from tests.integration.monitoring.stage import MonitoringStage
from tests.services.kube import KubeControlPlane
from tests.services.monitoring import KEY
from tests.standins import llm as llm_standin
from tests.standins import website as site_standin

pytestmark = pytest.mark.integration
_numbers = itertools.count(1)


@pytest.fixture
def kubelets(
    kube_control_plane: KubeControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Kubelets:
    """An operator and two workers, in a namespace of the test's own; the waits between looks are short."""
    made = Kubelets(kube_control_plane, f"rotation-{next(_numbers)}", tmp_path)
    made.secret(KEY + "\n")
    for name in ("operator-0", "comments-0", "sessions-0"):
        made.pod(name, operator=name == "operator-0")
    monkeypatch.setattr(rowlock_cli.commands.credentials.rotation, "_POLL_SECONDS", 0.01)
    monkeypatch.setattr(Cluster, "sha256_in_pod", made.sha256)
    monkeypatch.setenv("KUBECONFIG", str(kube_control_plane.kubeconfig))
    return made


class Store:
    """What is encrypted somewhere; `encrypt_anew` is the task, in the pod sessions-0."""

    def __init__(self, kubelets: Kubelets, *tokens: bytes) -> None:
        self.kubelets, self.tokens = (
            kubelets,
            list(tokens or (Fernet(KEY).encrypt(b"a login"), Fernet(KEY).encrypt(b"a session"))),
        )

    def encrypt_anew(self) -> dict[str, Any]:
        vault = Vault.load(self.kubelets.files["sessions-0"])
        before = list(self.tokens)
        self.tokens = [
            vault.rotate(token) if vault.key_id(token) != vault.key_ids()[0] else token for token in before
        ]
        changed = sum(a != b for a, b in zip(before, self.tokens, strict=True))
        return {
            "key": vault.key_ids()[0],
            "encrypted_anew": changed,
            "unreadable": 0,
            "looked_at": len(before),
        }

    def check_readable(self) -> None:
        """Every pod opens all that is stored, and all that any pod writes at this moment."""
        keys = {
            name: [Fernet(line) for line in path.read_text().split()]
            for name, path in self.kubelets.files.items()
        }
        written = [found[0].encrypt(b"new") for found in keys.values()]
        for name, found in keys.items():
            for token in [*self.tokens, *written]:
                try:
                    MultiFernet(found).decrypt(token)
                except InvalidToken:
                    raise AssertionError(f"the pod {name} cannot open something") from None


@pytest.fixture
def cluster(kubelets: Kubelets) -> Iterator[Cluster]:
    with connected(namespace=kubelets.namespace, context=None, needs="everything") as opened:
        yield opened


def rotation(
    cluster: Cluster, store: Store, kind: Callable[..., Rotation] = Rotation, timeout_seconds: float = 30
) -> Rotation:
    return kind(
        cluster, SECRET, encrypt_anew=store.encrypt_anew, tell=lambda _: None, timeout_seconds=timeout_seconds
    )


def test_at_every_moment_every_pod_opens_everything(cluster: Cluster, kubelets: Kubelets) -> None:
    store = Store(kubelets)
    kubelets.synced = store.check_readable
    done = rotation(cluster, store).run(despite_unreadable=False)
    (left,) = kubelets.secret().split()
    assert (left != KEY, done) == (
        True,
        {"key": fingerprint(left), "encrypted_anew": 2, "unreadable": 0, "removed": 1},
    )
    assert kubelets.annotations() == {}
    assert [Fernet(left).decrypt(token) for token in store.tokens] == [b"a login", b"a session"]


def test_without_the_wait_for_all_pods_some_of_them_cannot_read(cluster: Cluster, kubelets: Kubelets) -> None:
    """The twin: the new key moved first at once."""

    class Hasty(Rotation):
        def _wait_mounted(self, wanted: Any) -> None:
            for pod in ("operator-0", "sessions-0"):  # who looks first sees it first
                kubelets.looks = kubelets.late - 1
                self._cluster.sha256_in_pod(pod, "main", "/var/run/encryption/keys")

    store = Store(kubelets)
    kubelets.synced = store.check_readable
    with pytest.raises(AssertionError, match="the pod comments-0 cannot open something"):
        rotation(cluster, store, Hasty).run(despite_unreadable=False)


class Interrupted(Exception):
    """As by Ctrl-C, or a laptop that was closed."""


class Fragile:
    """A cluster that is gone right before (or right after) its n-th call."""

    def __init__(self, cluster: Cluster, calls: int, *, after: bool) -> None:
        self._cluster, self.left, self._after = cluster, calls, after

    def __getattr__(self, name: str) -> Any:
        what = getattr(self._cluster, name)
        if not callable(what):
            return what

        def call(*args: Any, **kwargs: Any) -> Any:
            self.left -= 1
            if self.left < 0 and not self._after:
                raise Interrupted
            answer = what(*args, **kwargs)
            if self.left < 0:
                raise Interrupted
            return answer

        return call


@pytest.mark.parametrize("after", [False, True], ids=["before each call", "after each call"])
def test_interrupted_anywhere_the_same_call_goes_on_and_one_new_key_is_left(
    after: bool, cluster: Cluster, kubelets: Kubelets
) -> None:
    def few_keys() -> None:
        assert len(kubelets.secret().split()) <= 2, "another key for each interruption"

    kubelets.late = 1
    for calls in itertools.count():
        kubelets.secret(KEY + "\n")
        for path in kubelets.files.values():
            path.write_text(KEY + "\n")
        store = Store(kubelets)
        kubelets.synced = lambda store=store: (store.check_readable(), few_keys())  # type: ignore[assignment, misc]
        fragile = Fragile(cluster, calls, after=after)
        try:
            rotation(fragile, store).run(despite_unreadable=False)  # type: ignore[arg-type]
        except Interrupted:
            rotation(cluster, store).run(despite_unreadable=False)
        (left,) = kubelets.secret().split()
        assert left != KEY
        assert [Fernet(left).decrypt(token) for token in store.tokens] == [b"a login", b"a session"]
        if fragile.left >= 0:
            break
    assert calls > 10


def test_what_no_key_opens_keeps_the_old_keys_until_somebody_says_otherwise(
    cluster: Cluster, kubelets: Kubelets
) -> None:
    class Unreadable(Store):
        def encrypt_anew(self) -> dict[str, Any]:
            return {**super().encrypt_anew(), "unreadable": 1}

    store = Unreadable(kubelets)
    with pytest.raises(Failed, match="1 stored value is opened by none of the keys, so the old keys stay"):
        rotation(cluster, store).run(despite_unreadable=False)
    assert KEY in kubelets.secret().split()
    done = rotation(cluster, store).run(despite_unreadable=True)
    assert (done["unreadable"], KEY in kubelets.secret()) == (1, False)


def test_what_was_written_with_the_old_key_while_it_lost_its_place_is_found_by_the_next_pass(
    cluster: Cluster, kubelets: Kubelets
) -> None:
    class Busy(Store):
        passes = 0

        def encrypt_anew(self) -> dict[str, Any]:
            self.passes += 1
            report = super().encrypt_anew()
            if self.passes == 1:
                self.tokens.append(Fernet(KEY).encrypt(b"cookies of a session that was just closed"))
            return report

    store = Busy(kubelets)
    done = rotation(cluster, store).run(despite_unreadable=False)
    (left,) = kubelets.secret().split()
    assert (done["encrypted_anew"], store.passes) == (3, 3)
    assert [len(Fernet(left).decrypt(token)) > 0 for token in store.tokens] == [True] * 3


def test_a_worker_with_another_key_file_removes_no_key(cluster: Cluster, kubelets: Kubelets) -> None:
    class Elsewhere(Store):
        def encrypt_anew(self) -> dict[str, Any]:
            return {"key": "0123456789ab", "encrypted_anew": 0, "unreadable": 0, "looked_at": 2}

    with pytest.raises(Failed, match="a worker encrypts with the key 0123456789ab instead of"):
        rotation(cluster, Elsewhere(kubelets)).run(despite_unreadable=False)
    assert KEY in kubelets.secret().split()


def test_pods_that_never_see_the_secret_are_named_and_nothing_is_moved(
    cluster: Cluster, kubelets: Kubelets
) -> None:
    kubelets.late = 10**9
    with pytest.raises(
        Failed,
        match=(
            "these pods do not have the Secret rowlock-encryption as it is, .*: comments-0, operator-0,"
            " sessions-0. Delete"
        ),
    ):
        rotation(cluster, Store(kubelets), timeout_seconds=0.2).run(despite_unreadable=False)
    assert kubelets.secret().split()[0] == KEY, "it encrypts with the key that all can open"
    kubelets.late = 1
    rotation(cluster, Store(kubelets)).run(despite_unreadable=False)


def test_a_secret_that_something_else_puts_back_is_told(cluster: Cluster, kubelets: Kubelets) -> None:
    kubelets.synced = lambda: None if kubelets.looks < 3 else (kubelets.secret(KEY + "\n"), None)[1]
    kubelets.late = 10**9
    with pytest.raises(Failed, match="where a controller or Git keeps it, change it there"):
        rotation(cluster, Store(kubelets)).run(despite_unreadable=False)


@pytest.mark.parametrize(
    ("text", "said"), [("no key\n", "line 1 is no key of 32 bytes"), ("# empty\n", "it holds no key")]
)
def test_a_secret_without_usable_keys_is_left_alone(
    text: str, said: str, cluster: Cluster, kubelets: Kubelets
) -> None:
    kubelets.secret(text)
    with pytest.raises(Failed, match=said):
        rotation(cluster, Store(kubelets)).run(despite_unreadable=False)
    assert kubelets.secret() == text


# -- the command, with a real worker


@pytest.fixture
def stage(
    database: str, redis_url: str, tmp_path: Path, kubelets: Kubelets, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MonitoringStage]:
    # The queue is the namespace's own, as the chart makes it.
    monkeypatch.setattr("tests.integration.monitoring.stage.NAMESPACE", kubelets.namespace)
    folder = tmp_path / "stage"
    folder.mkdir()
    with (
        site_standin.running(site_standin.Config(articles_per_class=1)) as site,
        llm_standin.running(llm_standin.Llm()) as llm,
    ):
        made = MonitoringStage(database, redis_url, folder, site, llm)
        kubelets.files["sessions-0"] = made.keys
        yield made
        made.close()


def command(stage: MonitoringStage, kubelets: Kubelets, *words: str) -> Result:
    environment = {"ROWLOCK_DATABASE_URL": stage.url}
    return CliRunner().invoke(rowlock, ["credentials", *words, "-n", kubelets.namespace], env=environment)


@pytest.mark.slow
def test_the_command_changes_the_key_of_everything_stored_and_shows_no_key(
    stage: MonitoringStage, kubelets: Kubelets
) -> None:
    stage.work("sessions")
    stage.sql("select monitoring.apply_v1(%s)", json.dumps(stage.wanted(logins=("ada", "ben"))))
    check = json.loads(command(stage, kubelets, "rotate", "--check", "-o", "json").stdout)
    assert (check["keys"], check["opened_by"], check["pods_with_other_keys"]) == (
        [fingerprint(KEY)],
        {fingerprint(KEY): 5},
        [],
    )
    done = command(stage, kubelets, "rotate")
    assert done.exit_code == 0, done.output
    (left,) = kubelets.secret().split()
    new = fingerprint(left)
    said = [line for line in done.stdout.splitlines() if not line.startswith("  ")]
    assert said == [
        (
            f"Step 1 of 4: the new key {new} stands last in the Secret {SECRET}; it opens, and encrypts"
            " nothing yet."
        ),
        f"Step 2 of 4: {new} stands first: it encrypts from now on.",
        "Step 3 of 4: what is stored is encrypted anew.",
        "Step 4 of 4: 1 old key was removed from the Secret.",
        f"Everything is encrypted with the key {new} now; 5 stored values were encrypted anew.",
    ]
    assert left not in done.output
    assert KEY not in done.output
    stored = stage.sql(
        "select username_encrypted from mymoment_logins union all select password_encrypted from"
        " mymoment_logins union all select api_key_encrypted from llm_provider_configurations"
    )
    assert sorted(Fernet(left).decrypt(token).decode() for (token,) in stored)[-1].startswith("pw-")
    shown = command(stage, kubelets, "rotate", "--check")
    assert (
        f"{new}   encrypts and opens   5\n\n5 values are stored encrypted; none of them are opened by no"
        " key.\n" in shown.stdout
    ), shown.output


@pytest.mark.slow
def test_what_no_key_opens_is_counted_by_the_task_and_told_with_the_remedy(
    stage: MonitoringStage, kubelets: Kubelets
) -> None:
    stage.work("sessions")
    stage.sql("select monitoring.apply_v1(%s)", json.dumps(stage.wanted()))
    lost = Fernet(new_key()).encrypt(b"lost").decode()
    stage.sql("update llm_provider_configurations set api_key_encrypted = %s", lost)
    done = command(stage, kubelets, "rotate")
    assert (
        done.exit_code,
        "1 stored value is opened by none of the keys, so the old keys stay" in done.stderr,
    ) == (1, True), done.output
    assert len(kubelets.secret().split()) == 2
    assert list(kubelets.annotations()) == [ANNOTATION]
    again = command(stage, kubelets, "rotate", "--despite-unreadable", "-o", "json")
    assert (again.exit_code, json.loads(again.stdout)["removed"]) == (0, 1), again.output


def test_a_task_that_nobody_takes_is_told_with_where_to_look(
    stage: MonitoringStage, kubelets: Kubelets
) -> None:
    done = command(stage, kubelets, "reencrypt", "--timeout", "0.5")
    assert (done.exit_code, "rotate_credentials is still " in done.stderr, "`rowlock why" in done.stderr) == (
        1,
        True,
        True,
    ), done.output


def test_where_no_operator_has_keys_mounted_it_says_how_to_get_them(kubelets: Kubelets) -> None:
    empty = Kubelets(kubelets.plane, f"{kubelets.namespace}-empty", kubelets.folder)
    done = CliRunner().invoke(rowlock, ["credentials", "rotate", "-n", empty.namespace])
    assert (
        done.exit_code,
        f"there is no Rowlock operator in the namespace {empty.namespace}" in done.stderr,
    ) == (1, True), done.output
