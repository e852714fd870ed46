"""Images without Docker: a Dockerfile's RUN and COPY lines, done for real in root file systems of Debian.

The base image is Debian of the same release, made by mmdebstrap, with Debian's own Python in place of the official
image's (of the same minor version, in /usr/bin and not in /usr/local/bin). What runs in it runs by bubblewrap: it sees
this root alone, the machine's network, and of the machine's files only the resolver's and pip's settings.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.support.dockerfile import Configuration, Instruction, Stage, stages
from tests.support.snippets import ROOT

DEBIAN = "http://deb.debian.org/debian"
PACKAGES = ("ca-certificates", "python3", "python3-venv", "python3-pip")
OF_THE_MACHINE = ("/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt")
"""What a container would be given by its engine, or by who builds it behind a proxy."""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PASSED = re.compile(r"PIP_\w+|\w+_proxy|\w+_PROXY|SSL_CERT_FILE|REQUESTS_CA_BUNDLE")


def lacking() -> str | None:
    """Why images can't be made here; None where they can."""
    if os.geteuid() != 0:
        return "only root makes a root file system whose files have the owners of an image"
    missing = [name for name in ("mmdebstrap", "bwrap", "setpriv") if shutil.which(name) is None]
    return f"not installed: {', '.join(missing)}" if missing else None


class Image:
    """A stage whose lines were run: its root, and what it says about its containers."""

    def __init__(self, layers: Sequence[Path], root: Path, configuration: Configuration) -> None:
        self.layers = layers
        """What the root is made of, the uppermost first."""
        self.root = root
        self.configuration = configuration

    def argv(
        self, command: Sequence[str], volumes: Mapping[str, Path], environment: Mapping[str, str] | None = None
    ) -> list[str]:
        """What runs a command as a container of the image would: its user, directory, variables and volumes."""
        configuration = self.configuration
        uid, _, gid = configuration.user.partition(":")
        as_user = ["setpriv", f"--reuid={uid}", f"--regid={gid or uid}", "--clear-groups", "--no-new-privs"]
        words = ["bwrap", "--bind", str(self.root), "/", "--dev", "/dev", "--proc", "/proc"]
        words += ["--perms", "1777", "--tmpfs", "/tmp"]
        for path in OF_THE_MACHINE:
            if Path(path).exists():
                words += ["--ro-bind", os.path.realpath(path), path]
        for place, directory in volumes.items():
            words += ["--bind", str(directory), place]
        words += ["--clearenv", "--chdir", configuration.workdir]
        variables = {"PATH": _PATH, "HOME": self._home(uid), **configuration.environment, **(environment or {})}
        for name, value in variables.items():
            words += ["--setenv", name, value]
        return [*words, "--", *(as_user if uid != "0" else ()), *command]

    def run(
        self, *arguments: str, volumes: Mapping[str, Path] | None = None, entrypoint: Sequence[str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """`docker run IMAGE ARGUMENTS`: its entrypoint with these arguments, else with its own."""
        begun = self.configuration.entrypoint if entrypoint is None else list(entrypoint)
        command = [*begun, *(arguments or self.configuration.command)]
        return subprocess.run(
            self.argv(command, volumes or {}), capture_output=True, text=True, timeout=300, check=False
        )

    @contextmanager
    def running(
        self,
        command: Sequence[str],
        volumes: Mapping[str, Path],
        environment: Mapping[str, str] | None = None,
        **streams: int,
    ) -> Iterator[tuple[subprocess.Popen[str], psutil.Process]]:
        """A container that goes on, and the process in it, once it has said a line; `docker stop` ends it.

        Signals are for the process: bubblewrap only waits for it.
        """
        argv = self.argv(command, volumes, environment)
        container = subprocess.Popen(argv, text=True, **streams)  # type: ignore[call-overload]
        stream = container.stdout or container.stderr
        first = stream.readline()
        assert first, f"{command} ended with {container.wait()}"
        (process,) = psutil.Process(container.pid).children()
        try:
            yield container, process
        finally:
            process.resume()
            process.terminate()
            container.communicate(timeout=120)

    @contextmanager
    def kernel(self, volumes: Mapping[str, Path]) -> Iterator[psutil.Process]:
        """`docker run IMAGE` of one that is a kernel without arguments."""
        command = [*self.configuration.entrypoint, *self.configuration.command]
        with self.running(command, volumes, stdout=subprocess.PIPE) as (container, process):
            yield process
        assert container.returncode == 0

    def _home(self, uid: str) -> str:
        for line in (self.root / "etc" / "passwd").read_text().splitlines():
            fields = line.split(":")
            if fields[2] == uid:
                return fields[5]
        return "/"


class Images:
    """The images of a Dockerfile, made below `directory` when they are first asked for: layers above each other."""

    def __init__(self, dockerfile: Path, directory: Path) -> None:
        self._every = stages(dockerfile)
        self._directory = directory
        self._made: dict[str, Image] = {}
        self._mounted: list[Path] = []

    def close(self) -> None:
        """Takes the layers apart."""
        while self._mounted:
            subprocess.run(["umount", str(self._mounted.pop())], check=True)

    def image(self, name: str) -> Image:
        """The image of a target, and of what it is made from."""
        if name not in self._made:
            stage = self._every.get(name)
            self._made[name] = self._run(stage) if stage is not None else self._debian(name)
        return self._made[name]

    def _debian(self, name: str) -> Image:
        release = re.fullmatch(r"python:3\.\d+-slim-(\w+)", name)
        assert release is not None, f"{name} has no twin of Debian"
        root = self._directory / re.sub(r"\W", "-", name)
        subprocess.run(
            ["mmdebstrap", "-q", "--variant=minbase", f"--include={','.join(PACKAGES)}", release[1], str(root), DEBIAN],
            check=True,
            timeout=600,
        )
        return Image([root], root, Configuration())

    def _run(self, stage: Stage) -> Image:
        base = self.image(stage.base)
        upper, work, root = (self._directory / stage.name / part for part in ("upper", "work", "root"))
        for directory in (upper, work, root):
            directory.mkdir(parents=True)
        below = ":".join(map(str, base.layers))
        options = f"lowerdir={below},upperdir={upper},workdir={work}"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, str(root)], check=True)
        self._mounted.append(root)
        theirs = base.configuration
        image = Image(
            [upper, *base.layers],
            root,
            Configuration(dict(theirs.environment), theirs.workdir, theirs.user, list(theirs.volumes)),
        )
        for instruction in stage.instructions:
            self._do(image, instruction)
        return image

    def _do(self, image: Image, instruction: Instruction) -> None:
        if instruction.word == "RUN":
            passed = {name: value for name, value in os.environ.items() if _PASSED.fullmatch(name)}
            words = [word for name, value in passed.items() for word in ("--setenv", name, value)]
            argv = image.argv(["/bin/sh", "-c", instruction.rest], _directories_of_pip())
            at = argv.index("--")
            subprocess.run([*argv[:at], *words, *argv[at:]], check=True, timeout=900)
        elif instruction.word == "COPY":
            self._copy(image, instruction.words)
        else:
            image.configuration.take(instruction)
            if instruction.word == "WORKDIR":
                (image.root / instruction.rest.lstrip("/")).mkdir(parents=True, exist_ok=True)

    def _copy(self, image: Image, words: list[str]) -> None:
        source = ROOT
        if words[0].startswith("--from="):
            source = self.image(words.pop(0).removeprefix("--from=")).root
        *names, place = words
        into = image.root / os.path.join(image.configuration.workdir, place).lstrip("/")
        for name in names:
            found = source / name.lstrip("/")
            if found.is_dir():
                shutil.copytree(
                    found, into, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
                )
            else:
                shutil.copy2(found, into)


def _directories_of_pip() -> dict[str, Path]:
    """Directories of wheels that this machine's pip looks into."""
    named = os.environ.get("PIP_FIND_LINKS", "").split()
    return {name: Path(name) for name in named if Path(name).is_dir()}
