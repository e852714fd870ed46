"""A package index as pip reads it: a page of links a project, and the metadata beside each wheel (PEP 503, PEP 658)."""

from __future__ import annotations

import hashlib
import io
import zipfile

from tests.support.hub_answers import Answer


def answer_project(answer: Answer, project: str) -> None:
    """`/simple/PROJECT/`."""
    wheels = answer.contents.wheels
    names = [name for name in wheels if name.startswith(project.replace("-", "_"))]
    if not names:
        raise KeyError(project)
    announced = ' data-core-metadata="true"' if answer.contents.wheel_metadata else ""
    links = (
        f'<a href="{answer.place.url}/wheels/{name}#sha256={hashlib.sha256(wheels[name]).hexdigest()}"'
        f"{announced}>{name}</a>"
        for name in names
    )
    page = f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>"
    answer.send(200, page.encode(), {"Content-Type": "text/html"})


def answer_metadata(answer: Answer, wheel: str) -> None:
    """`/wheels/WHEEL.metadata`."""
    with zipfile.ZipFile(io.BytesIO(answer.contents.wheels[wheel])) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        answer.send(200, archive.read(name))
