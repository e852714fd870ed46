"""The image for processors: its Dockerfile's own lines, run for real without Docker, and a kernel started in it."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from llmspell_protocol.version import VERSION
from tests.support.image_roots import Image, lacking

pytestmark = [
    pytest.mark.images,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(lacking() is not None, reason=lacking() or ""),
]


def _health(image: Image, volumes: dict[str, Path]) -> int:
    return image.run(*image.configuration.health, volumes=volumes, entrypoint=()).returncode


def test_arguments_are_commands_run_by_a_user_of_its_own(image: Image) -> None:
    done = image.run("version")
    assert (done.returncode, VERSION in done.stdout) == (0, True), done.stderr
    assert image.run("exec", "6 * 7").stdout == "42\n"
    assert image.run("chat", "-m", "mock/a", "hello").stdout == "[mock/a] hello\n"
    done = image.run("id -u; id -g; touch /opt/llmspell/x; ls /src; ls -ld /data", entrypoint=("/bin/sh", "-c"))
    assert done.stdout.splitlines()[:2] == ["1000", "1000"]
    assert done.stdout.splitlines()[2].startswith("drwx------")
    assert "Permission denied" in done.stderr
    assert "cannot access '/src'" in done.stderr
    assert image.configuration.volumes == ["/data"]


def test_a_container_without_arguments_is_a_kernel_that_its_health_check_asks(
    image: Image, volumes: dict[str, Path]
) -> None:
    assert _health(image, volumes) == 4
    with image.kernel(volumes) as kernel:
        assert _health(image, volumes) == 0
        assert set(kernel.uids()) == {1000}
        listening = [one for one in kernel.net_connections("inet") if one.status == psutil.CONN_LISTEN]
        assert listening == []
        # Another container of the same volumes, and `docker exec`, find it by themselves.
        done = image.run("chat", "-m", "mock/a", "hello", "--json", volumes=volumes)
        assert '"kernel": "main"' in done.stdout, done.stdout + done.stderr
        kernel.suspend()
        assert _health(image, volumes) == 4
    assert _health(image, volumes) == 4
    assert list(volumes["/run/llmspell"].iterdir()) == []


def test_models_and_settings_stay_in_the_volume(image: Image, volumes: dict[str, Path]) -> None:
    done = image.run("config", "set", "models.keep_alive", "1h", volumes=volumes)
    assert done.returncode == 0, done.stderr
    assert (volumes["/data"] / "config.toml").stat().st_uid == 1000
    assert "keep_alive = 3600" in image.run("config", "show", "models.keep_alive", volumes=volumes).stdout


def test_a_program_in_another_container_asks_the_kernel_by_the_python_client(
    image: Image, volumes: dict[str, Path]
) -> None:
    code = (
        "from llmspell import connect\n"
        "with connect('main') as kernel: print(kernel.chat('hello', model='mock/a').text, kernel.address)"
    )
    with image.kernel(volumes):
        done = image.run("/opt/llmspell/bin/python", "-c", code, volumes=volumes, entrypoint=())
    assert done.stdout.startswith("[mock/a] hello /run/llmspell/"), done.stderr
