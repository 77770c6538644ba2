"""Goal: `faultline images` knows what to make, and what it hands to the engine is the same on every checkout."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from harness import base_image, images
from harness.errors import InfrastructureError, UsageError
from harness.images import Recipe, choose, recipes
from harness.nodes import docker_engine
from harness.registry import find_target, target_names

ETCD = Recipe(image="host/etcd", tags=("v3.6.16",), bases=(), folder=Path("/x/etcd/images"))
CASSANDRA = Recipe(image="cassandra", tags=("5.0",), bases=(), folder=Path("/x/cassandra/images"))


def test_every_default_image_has_a_recipe() -> None:
    made = {recipe.name(tag) for recipe in recipes() for tag in recipe.tags}
    wanted = {find_target(name).default_image for name in target_names()} - {""}
    assert wanted - made == {"mongo:8.0"}, "no package holds a mongod: that one only a registry has"


def test_every_base_is_one_that_can_be_made() -> None:
    for recipe in recipes():
        assert recipe.bases
        dockerfile = (recipe.folder / "Dockerfile").read_text()
        for base in recipe.bases:
            assert base_image.BASE.fullmatch(base)
            assert f"FROM {base}" in dockerfile


@pytest.mark.parametrize(
    ("names", "variables", "chosen"),
    [
        ([], {}, ["host/etcd:v3.6.16", "cassandra:5.0"]),
        ([], {"ETCD": "3.5.27"}, ["host/etcd:v3.5.27", "cassandra:5.0"]),
        (["etcd"], {"CASSANDRA": "5.0.1"}, ["host/etcd:v3.6.16"]),
        (["etcd:3.5.27"], {}, ["host/etcd:v3.5.27"]),
        (["etcd:v3.5.27"], {}, ["host/etcd:v3.5.27"]),
        (["host/etcd:v3.5.27"], {}, ["host/etcd:v3.5.27"]),
        (["cassandra:5.0.1", "etcd"], {}, ["cassandra:5.0.1", "host/etcd:v3.6.16"]),
    ],
)
def test_names(names: list[str], variables: dict[str, str], chosen: list[str]) -> None:
    assert [name for _, name in choose([ETCD, CASSANDRA], names, variables)] == chosen


@pytest.mark.parametrize("name", ["oracle", "host/other:1", "etc", ":"])
def test_unknown_name(name: str) -> None:
    with pytest.raises(UsageError, match="no recipe makes image"):
        choose([ETCD, CASSANDRA], [name], {})


def test_context_does_not_depend_on_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "own_certificates", dict)
    contexts, prints = [], []
    for number, folder in enumerate((tmp_path / "a" / "etcd" / "images", tmp_path / "b" / "etcd" / "images")):
        folder.mkdir(parents=True)
        for name, mode in (("Dockerfile", 0o600 + number * 0o44), ("entrypoint.sh", 0o755)):
            (folder / name).write_text("the same\n")
            (folder / name).chmod(mode)
        recipe = Recipe(image="host/etcd", tags=("v1",), bases=(), folder=folder)
        contexts.append(recipe.context().getvalue())
        prints.append(recipe.fingerprint("v1"))
    assert contexts[0] == contexts[1]
    assert prints[0] == prints[1]
    (tmp_path / "a" / "etcd" / "images" / "Dockerfile").write_text("another\n")
    again = Recipe(image="host/etcd", tags=("v1",), bases=(), folder=tmp_path / "a" / "etcd" / "images")
    assert again.fingerprint("v1") != prints[0]
    assert again.fingerprint("v2") != again.fingerprint("v1")


def test_context_holds_recipe_and_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pem = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    (tmp_path / "own.crt").write_bytes(b"a comment\n" + pem + pem.replace(b"MIIB", b"MIIC"))
    monkeypatch.setattr(images, "CERTIFICATES", tmp_path)
    recipe = next(recipe for recipe in recipes() if recipe.target == "cassandra")
    with tarfile.open(fileobj=recipe.context()) as archive:
        names = archive.getnames()
        certificates = [name for name in names if name.startswith("machine/") and name.endswith(".crt")]
        found = {archive.extractfile(name).read() for name in certificates}  # type: ignore[union-attr]
    assert {"Dockerfile", "bin/docker-entrypoint.sh", "conf/cassandra.yaml", "machine/README"} <= set(names)
    assert found == {pem, pem.replace(b"MIIB", b"MIIC")}


def test_apt_settings_that_a_build_needs() -> None:
    dump = (
        'Acquire "";\nAcquire::http::Proxy "http://proxy:3128";\nAcquire::Check-Valid-Until "false";\n'
        'APT::Install-Recommends "1";\nAcquire::http::Proxy::internal "DIRECT";\nAcquire::Retries "";\n'
    )
    assert base_image.APT_SETTINGS.findall(dump) == [
        'Acquire::http::Proxy "http://proxy:3128";',
        'Acquire::Check-Valid-Until "false";',
    ]


@pytest.mark.docker
def test_an_equivalent_is_built_once_and_again_when_its_recipe_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        client = docker_engine.connect()
    except InfrastructureError as error:
        pytest.skip(str(error))
    folder = tmp_path / "tiny" / "images"
    folder.mkdir(parents=True)
    name = f"localhost:1/faultline-test-{tmp_path.name}"
    (folder / "recipe.toml").write_text(f'image = "{name}"\ntags = ["1"]\nbases = []\nversions = {{ 1 = "1.0.7" }}\n')
    (folder / "Dockerfile").write_text("FROM scratch\nARG VERSION\nENV IT=$VERSION\nCOPY Dockerfile /\n")
    monkeypatch.setattr(images, "RECIPES", tmp_path)
    monkeypatch.setattr(images.docker_images, "ensure_sandbox", lambda client: "not asked for here")
    monkeypatch.setattr(images.docker_images, "sandbox_name", lambda: name + ":1")

    def built() -> bool:
        said: list[str] = []
        images.build([], said.append)
        return any("built in" in line for line in said)

    try:
        assert built()
        first = client.images.get(f"{name}:1")
        assert "IT=1.0.7" in first.attrs["Config"]["Env"]
        assert not built()
        (folder / "Dockerfile").write_text("FROM scratch\nARG VERSION\nENV IT=other\nCOPY Dockerfile /\n")
        assert built()
        assert "IT=other" in client.images.get(f"{name}:1").attrs["Config"]["Env"]
        (folder / "Dockerfile").write_text("FROM scratch\nCOPY none /\n")
        with pytest.raises(InfrastructureError, match="could not be built"):
            built()
    finally:
        for image in {first.id, *(image.id for image in client.images.list(name))}:
            client.images.remove(image, force=True)
        client.close()
