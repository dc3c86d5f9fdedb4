"""What the provider decides without touching the machine."""

import json
from pathlib import Path

import pytest

from tools.cluster import cgroups, configs, kind
from tools.cluster.buildkit import buildctl_command, docker_command, parse_build
from tools.cluster.components import components
from tools.cluster.debian import debian_mirrors
from tools.cluster.errors import ClusterError
from tools.cluster.gotool import version_in
from tools.cluster.network import INDEXES, Network, free_index, masquerade_rules
from tools.cluster.places import ClusterPlace, cluster_place
from tools.cluster.programs import GROUPS, HOST_GROUPS, build_key, linker_flags, programs_of, tool_packages
from tools.images.archive import ImageConfig, full_name, images_in, write_archive
from tools.images.recipes import POSTGRES, PYTHON, RECIPES, REDIS
from tools.images.standins import mmdebstrap_command

PLACE = ClusterPlace("some", Path("/state/some"))
NETWORK = Network("some", 3)


@pytest.mark.parametrize("name", ["", "Dev", "-x", "a/b", "../up", "a" * 21, "1st"])
def test_a_name_that_could_leave_the_state_folder_is_refused(name: str) -> None:
    with pytest.raises(ClusterError, match="cannot name a cluster"):
        cluster_place(name)


def test_a_state_folder_that_the_cluster_would_hide_from_itself_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ROWLOCK_STATE", "/run/rowlock")
    with pytest.raises(ClusterError, match="/run"):
        cluster_place("dev")


def test_every_group_names_its_programs_and_its_version() -> None:
    found = {name: set(programs_of(GROUPS[name])) for name in (*HOST_GROUPS, "kind")}
    assert found["etcd"] == {"etcd"}
    assert found["cni"] == {"ptp", "loopback", "host-local", "portmap"}
    assert found["pause"] == {"pause"}
    assert {"kube-apiserver", "kubelet", "kubectl"} <= found["kubernetes"]
    flags = linker_flags(GROUPS["kubernetes"], "require k8s.io/kubernetes v1.37.2 // indirect\n")
    assert [part for part in ("gitVersion=v1.37.2 ", "gitMajor=1 ", "gitMinor=37") if part not in flags] == []


def test_tool_lines_are_read_in_both_forms() -> None:
    assert tool_packages("tool example.test/one\n") == ["example.test/one"]
    assert tool_packages("tool (\n\texample.test/one\n\texample.test/two\n)\n") == [
        "example.test/one",
        "example.test/two",
    ]


def test_the_build_key_changes_with_the_module_and_only_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "etcd"
    folder.mkdir()
    (folder / "go.mod").write_text("tool go.etcd.io/etcd/server/v3\n")
    monkeypatch.setattr("tools.cluster.programs.MODULES", tmp_path)
    first = build_key(GROUPS["etcd"])
    assert build_key(GROUPS["etcd"]) == first
    (folder / "go.sum").write_text("changed\n")
    assert build_key(GROUPS["etcd"]) != first


@pytest.mark.parametrize(
    ("text", "expected"),
    [("go version go1.26.8 linux/amd64", (1, 26, 8)), ("go 1.26.0", (1, 26, 0)), ("none", ())],
)
def test_go_versions_are_read(text: str, expected: tuple[int, ...]) -> None:
    assert version_in(text) == expected


def test_clusters_never_share_an_address() -> None:
    cidrs = [cidr for index in INDEXES for cidr in Network("x", index).cidrs]
    assert len(cidrs) == len(set(cidrs))


def test_an_index_that_a_cluster_or_a_route_of_the_machine_uses_is_passed_over() -> None:
    routes = ["default", "192.0.2.0/24", "10.213.1.0/24", "10.214.8.0/24"]
    assert free_index(taken={0}, routes=routes, cluster="x") == 3


def test_no_free_index_is_a_sentence() -> None:
    with pytest.raises(ClusterError, match="in use"):
        free_index(taken=set(), routes=["10.0.0.0/8"], cluster="x")


def test_nat_rules_live_in_a_table_that_names_the_cluster_and_begin_by_clearing_it() -> None:
    rules = masquerade_rules(NETWORK)
    assert rules.splitlines()[:2] == ["table ip rowlock-some", "delete table ip rowlock-some"]
    assert "10.213.3.0/24, 10.214.12.0/22" in rules


def test_name_servers_that_only_the_machine_reaches_are_left_out() -> None:
    text = "search lan\nnameserver 127.0.0.53\nnameserver 192.0.2.7\nnameserver ::1\n"
    assert configs.resolv_conf(text) == "nameserver 192.0.2.7\n"


def test_aggregated_apis_are_possible_and_the_autoscaler_looks_every_two_seconds() -> None:
    programs = {
        program: Path("/bin") / program for name in HOST_GROUPS for program in programs_of(GROUPS[name])
    }
    daemons = components(PLACE, NETWORK, programs)
    assert (
        sum(
            word.startswith(("--requestheader-", "--proxy-client-"))
            for word in daemons["kube-apiserver"].argv
        )
        == 7
    )
    assert "--horizontal-pod-autoscaler-sync-period=2s" in daemons["kube-controller-manager"].argv
    assert [name for name, daemon in daemons.items() if not daemon.in_cluster_network] == ["buildkitd"]


def test_the_kubelet_keeps_local_images_and_stays_in_the_clusters_cgroup() -> None:
    config = json.loads(configs.kubelet_config(PLACE, NETWORK))
    assert config["imageGCHighThresholdPercent"] == 100
    assert config["cgroupRoot"] == "/rowlock-some"
    assert config["failCgroupV1"] is False


def test_cgroup_hierarchies_of_both_versions_are_found() -> None:
    mountinfo = (
        "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
        "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu\n"
        "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
    )
    expected = [Path("/sys/fs/cgroup/cpu,cpuacct"), Path("/sys/fs/cgroup/unified")]
    assert cgroups.hierarchies_in(mountinfo) == expected


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        ("3:pids:/rowlock-dev/daemons\n", True),
        ("0::/rowlock-dev\n", True),
        ("3:pids:/rowlock-dev2/daemons\n", False),
        ("3:pids:/user/rowlock-dev/x\n", False),
        ("3:pids:/\n0::/\n", False),
    ],
)
def test_only_a_process_inside_the_clusters_own_cgroup_belongs_to_it(text: str, *, ours: bool) -> None:
    assert cgroups.belongs(text, "dev") is ours


def test_the_mirror_is_read_from_both_formats_of_apt() -> None:
    stanza = "Types: deb\n# a note\nURIs: http://one.test/debian\nSuites: bookworm bookworm-updates\n"
    security = "\nTypes: deb\nURIs: http://two.test/security\nSuites: bookworm-security\n"
    line = "\ndeb [arch=amd64] http://three.test/debian bookworm main\ndeb http://four.test/apt other main\n"
    expected = ["http://one.test/debian", "http://three.test/debian"]
    assert debian_mirrors(stanza + security + line, "bookworm") == expected


def test_a_build_reaches_buildkit_and_docker_with_the_same_meaning(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "more").mkdir()
    asked = parse_build(
        image="app:1",
        context=str(tmp_path),
        dockerfile="",
        contexts=[f"more={tmp_path}/more"],
        target="run",
        arguments=["A=b"],
    )
    buildctl = buildctl_command(Path("buildctl"), Path("/b.sock"), asked)
    assert "--output=type=image,name=docker.io/library/app:1,unpack=true" in buildctl
    assert {
        f"--local=more={tmp_path}/more",
        "--opt=context:more=local:more",
        "--opt=build-arg:A=b",
        "--opt=target=run",
    } <= set(buildctl)
    docker = docker_command(asked)
    assert docker[-1] == str(tmp_path)
    assert {f"more={tmp_path}/more", "A=b"} <= set(docker)


def test_a_missing_dockerfile_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="name it with -f"):
        parse_build(image="a:1", context=str(tmp_path), dockerfile="", contexts=[], target="", arguments=[])


def test_kind_works_on_a_kubeconfig_of_our_own_in_every_command(tmp_path: Path) -> None:
    for command in (kind.create_command, kind.delete_command, kind.export_command):
        words = command("kind", PLACE)
        assert words[words.index("--kubeconfig") + 1] == "/state/some/kubeconfig"
        assert words[words.index("--name") + 1] == "rowlock-some"
    archive = tmp_path / "image.tar"
    archive.touch()
    assert kind.load_command("kind", PLACE, str(archive))[1:3] == ["load", "image-archive"]
    assert kind.load_command("kind", PLACE, "app:1")[1:3] == ["load", "docker-image"]


@pytest.mark.parametrize(("clusters", "verb"), [("rowlock-some\n", "export"), ("rowlock-other\n", "create")])
def test_kind_up_creates_only_what_is_not_there(tmp_path: Path, clusters: str, verb: str) -> None:
    place = ClusterPlace("some", tmp_path / "some")
    asked: list[list[str]] = []

    def answer(command: list[str]) -> str:
        asked.append(command)
        if command[1] != "get":
            place.kubeconfig.touch()
        return clusters

    kind.up("kind", place, answer)
    assert [command[1] for command in asked] == ["get", verb]
    assert place.kubeconfig.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("given", "full"),
    [
        ("python:3.13", "docker.io/library/python:3.13"),
        ("python", "docker.io/library/python:latest"),
        ("me/app:1", "docker.io/me/app:1"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("rowlock.dev/pause:1", "rowlock.dev/pause:1"),
    ],
)
def test_image_names_are_spelled_out_as_containerd_does(given: str, full: str) -> None:
    assert full_name(given) == full


def test_an_archive_names_its_image(tmp_path: Path) -> None:
    layer, archive = tmp_path / "layer.tar", tmp_path / "image.tar"
    layer.write_bytes(b"\0" * 1024)
    write_archive(image="app:1", layer=layer, config=ImageConfig(command=("true",)), archive=archive)
    assert images_in(archive) == ["docker.io/library/app:1"]


def test_stand_ins_bear_the_names_that_dockerfiles_use_and_say_what_they_are() -> None:
    names = [
        "docker.io/library/python:3.13-slim-trixie",
        "docker.io/library/postgres:17",
        "docker.io/library/redis:8",
    ]
    assert [recipe.image for recipe in RECIPES] == names
    assert {recipe.config.labels["dev.rowlock.stand-in"] for recipe in RECIPES} == {"true"}


def test_only_the_python_stand_in_takes_the_machines_certificates() -> None:
    assert [recipe.image for recipe in RECIPES if recipe.trusts_host] == [PYTHON.image]


def test_database_users_get_their_uid_before_the_packages_could_choose_one() -> None:
    for recipe, user in ((POSTGRES, "postgres"), (REDIS, "redis")):
        words = mmdebstrap_command(recipe, address="http://mirror.test/debian", layer=Path("/layer.tar"))
        early = [word for word in words if word.startswith("--essential-hook=")]
        assert any(f"{user}:x:999:999:" in word for word in early)
        assert words[-3:] == ["trixie", "/layer.tar", "http://mirror.test/debian"]
