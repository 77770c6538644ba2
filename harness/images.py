"""`faultline images` (`make images`): the sandbox and the databases' images, ready on this machine.

An image that is here is kept; else it is pulled; where no registry answers, an equivalent is built from packages under
the vendor's name and with the vendor's entry contract. How is in `targets/<database>/images/`: a `recipe.toml`
(`Recipe`) and a Dockerfile, which gets the version as VERSION and this machine's own certificates in `machine/`. What a
database needs beside its own image is in `images-<name>/`, and goes by that name.

An equivalent carries its recipe's hash as a label, and is built again when the recipe has changed. Two are built at a
time. Cost: some three minutes at first on two cores (bases, Go and Maven downloads, compiling etcd), then a second.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import tarfile
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import docker
import docker.errors
import msgspec

from harness.base_image import make_base
from harness.errors import InfrastructureError, UsageError
from harness.nodes import docker_engine, docker_images
from harness.nodes.docker_images import last_words

RECIPES = Path(__file__).parent.parent / "targets"
RECIPE_LABEL = "faultline.recipe"
AT_ONCE = 2

PASSED_ON = ("GOPROXY", "GOSUMDB", "GONOSUMDB", "GOFLAGS")
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
CERTIFICATES = Path("/usr/local/share/ca-certificates")


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How one database's image is built.

    image: its name without the tag. tags: those that `make images` makes; any other can be asked for. bases: images
    that the Dockerfile starts from. versions: tag → VERSION, where they differ.
    """

    image: str
    tags: tuple[str, ...]
    bases: tuple[str, ...]
    versions: dict[str, str] = {}
    folder: Path = Path()

    @property
    def target(self) -> str:
        """The name that it is asked for by: the database's, or `name` for a folder `images-name`."""
        return self.folder.name.removeprefix("images").removeprefix("-") or self.folder.parent.name

    def name(self, tag: str) -> str:
        """The full name for a tag; a bare version gets the prefix of the recipe's own tags (3.5.27 → v3.5.27)."""
        prefix = re.match(r"[a-z]*", self.tags[0])
        assert prefix is not None
        return f"{self.image}:{tag if tag.startswith(prefix.group()) else prefix.group() + tag}"

    def fingerprint(self, tag: str) -> str:
        """Of all that decides what is built."""
        sha = hashlib.sha256(tag.encode())
        for path in self._files():
            sha.update(path.relative_to(self.folder).as_posix().encode() + b"\0" + path.read_bytes())
        return sha.hexdigest()[:16]

    def context(self) -> io.BytesIO:
        """The build context: the recipe's files, and this machine's certificates."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for path in self._files():
                archive.add(path, path.relative_to(self.folder).as_posix(), filter=_plain)
            for name, data in {"README": b"What this machine needs to download.\n", **own_certificates()}.items():
                entry = tarfile.TarInfo(f"machine/{name}")
                entry.size, entry.mode = len(data), 0o644
                archive.addfile(entry, io.BytesIO(data))
        buffer.seek(0)
        return buffer

    def _files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file())


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """The same owner and time everywhere, so that the engine's cache is hit on every checkout."""
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o755 if entry.mode & 0o100 else 0o644
    return entry


def recipes() -> list[Recipe]:
    """All of them, by database."""
    found = []
    for path in sorted(RECIPES.glob("*/images*/recipe.toml")):
        recipe = msgspec.convert(tomllib.loads(path.read_text()), Recipe)
        found.append(msgspec.structs.replace(recipe, folder=path.parent))
    return found


def is_here(image: str) -> bool:
    """Whether the engine has the image. Raises InfrastructureError when no engine answers."""
    client = docker_engine.connect()
    try:
        return docker_images.is_here(client, image)
    finally:
        client.close()


def build(names: Sequence[str] = (), say: Callable[[str], None] | None = None) -> None:
    """Have the sandbox and these images ready; a name is `etcd`, `etcd:3.5.27` or an image's full name.

    No names: each database's own, or the version that the variable of its name holds (`make images ETCD=3.5.27`).
    Raises UsageError for a name that no recipe makes, InfrastructureError when one can be neither pulled nor built.
    """
    say = say or partial(print, flush=True)
    wanted = choose(recipes(), names, os.environ)
    client = docker_engine.connect()
    began = time.monotonic()
    try:
        missing = [each for each in wanted if not _is_ready(client, *each, say)]
        bases = {base for recipe, _ in missing for base in recipe.bases}
        if not docker_images.is_here(client, docker_images.sandbox_name()):
            bases.add(docker_images.base_of(docker_images.SANDBOX / "Dockerfile"))
        _at_once([partial(_have_base, client, base, say) for base in sorted(bases)])
        _at_once([partial(_have_sandbox, client, say), *(partial(_make, client, *each, say) for each in missing)])
    except docker.errors.DockerException as error:
        raise InfrastructureError(f"the images could not be made: {error}") from error
    finally:
        client.close()
    say(f"images ready after {time.monotonic() - began:.0f} s")


def choose(known: Sequence[Recipe], names: Sequence[str], variables: Mapping[str, str]) -> list[tuple[Recipe, str]]:
    """(recipe, full image name) for each name. Raises UsageError."""
    if not names:
        return [
            (recipe, recipe.name(tag))
            for recipe in known
            for tag in ([variables[recipe.target.upper()]] if recipe.target.upper() in variables else recipe.tags)
        ]
    chosen = []
    for name in names:
        short, _, tag = name.partition(":")
        for recipe in known:
            if short == recipe.target:
                chosen += [(recipe, recipe.name(one)) for one in ([tag] if tag else recipe.tags)]
                break
            if name.startswith(f"{recipe.image}:"):
                chosen.append((recipe, name))
                break
        else:
            offered = ", ".join(f"{recipe.target} ({recipe.image}:...)" for recipe in known)
            raise UsageError(f"no recipe makes image {name!r}; there are recipes for {offered}")
    return chosen


def own_certificates() -> dict[str, bytes]:
    """File name → PEM of each certificate authority that this machine was given beside the usual ones."""
    sources = sorted(CERTIFICATES.rglob("*.crt")) if CERTIFICATES.is_dir() else []
    if not sources and (bundle := os.environ.get("SSL_CERT_FILE")) and Path(bundle).is_file():
        sources = [Path(bundle)]
    found = {}
    for source in sources:
        for pem in re.findall(
            rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", source.read_bytes(), re.S
        ):
            found[f"{hashlib.sha256(pem).hexdigest()[:16]}.crt"] = pem
    return found


def _is_ready(client: docker.DockerClient, recipe: Recipe, name: str, say: Callable[[str], None]) -> bool:
    """Whether the image is here and, if it is an equivalent, of today's recipe; else whether it could be pulled."""
    try:
        labels = client.images.get(name).labels
    except docker.errors.ImageNotFound:
        problem = docker_images.pull(client, name)
        say(f"{name}: " + ("pulled" if problem is None else f"can't be pulled ({problem}), so an equivalent is built"))
        return problem is None
    if labels.get(RECIPE_LABEL) in (None, recipe.fingerprint(name.rpartition(":")[2])):
        say(f"{name}: here")
        return True
    say(f"{name}: here, but its recipe has changed")
    return False


def _have_base(client: docker.DockerClient, name: str, say: Callable[[str], None]) -> None:
    if docker_images.is_here(client, name):
        return
    problem = docker_images.pull(client, name)
    if problem is not None:
        began = time.monotonic()
        make_base(client, name, problem)
        say(f"{name}: made by debootstrap in {time.monotonic() - began:.0f} s")


def _have_sandbox(client: docker.DockerClient, say: Callable[[str], None]) -> None:
    say(f"{docker_images.ensure_sandbox(client)}: here")


def _make(client: docker.DockerClient, recipe: Recipe, name: str, say: Callable[[str], None]) -> None:
    tag = name.rpartition(":")[2]
    dockerfile = (recipe.folder / "Dockerfile").read_text()
    declared = set(re.findall(r"^ARG (\w+)", dockerfile, re.M))
    arguments = {key: os.environ[key] for key in PASSED_ON if key in declared and key in os.environ}
    arguments |= {key: os.environ[key] for key in PROXIES if key in os.environ}
    arguments["VERSION"] = recipe.versions.get(tag, tag)
    began = time.monotonic()
    say(f"{name}: building ...")
    try:
        _build(client, recipe, name, arguments)
    except docker.errors.BuildError as error:
        say(f"{name}: building once more, for a download may have failed: {last_words(error)}")
        try:
            _build(client, recipe, name, arguments)
        except docker.errors.BuildError as again:
            raise InfrastructureError(f"image {name!r} could not be built: {last_words(again)}") from again
    say(f"{name}: built in {time.monotonic() - began:.0f} s")


def _build(client: docker.DockerClient, recipe: Recipe, name: str, arguments: Mapping[str, str]) -> None:
    client.images.build(
        fileobj=recipe.context(),
        custom_context=True,
        tag=name,
        buildargs=dict(arguments),
        labels={RECIPE_LABEL: recipe.fingerprint(name.rpartition(":")[2])},
        network_mode="host",
        rm=True,
        forcerm=True,
    )


def _at_once(jobs: Sequence[Callable[[], None]]) -> None:
    """A few at a time; raises the first error when all have ended."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for future in [pool.submit(job) for job in jobs]:
            future.result()
