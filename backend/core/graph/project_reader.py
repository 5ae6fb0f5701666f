"""A `langgraph.json`, read and checked. Nothing is imported here; what is wrong is said with the file and the key.

Several files may be served at once: `read_projects` puts them together, and no two of them may speak of the same matter
of the whole server.
"""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args

from loguru import logger
from pydantic import TypeAdapter, ValidationError

from backend.core.error import InvalidGraph
from backend.core.graph.project import (
    AuthConfig,
    CheckpointerConfig,
    EncryptionConfig,
    GraphEntry,
    HttpConfig,
    PriorityConfig,
    Project,
    Reference,
    ServedProjects,
    StoreConfig,
    WebhookConfig,
    parse_reference,
)

MAX_GRAPHS = 200
MAX_CONFIG_BYTES = 1024 * 1024
IMAGE_KEYS = frozenset(
    {
        "$schema",
        "api_version",
        "base_image",
        "dockerfile_lines",
        "image_distro",
        "keep_pkg_tools",
        "node_version",
        "pip_config_file",
        "pip_installer",
        "python_version",
        "source",
        "ui",
        "ui_config",
    }
)
"""Keys of the file that speak of building an image or of JavaScript bundles; a server of installed code needs none."""
_SECTIONS: dict[str, type[Any]] = {
    "store": StoreConfig,
    "checkpointer": CheckpointerConfig,
    "auth": AuthConfig,
    "http": HttpConfig,
    "webhooks": WebhookConfig,
    "encryption": EncryptionConfig,
    "priority": PriorityConfig,
}
_KNOWN = frozenset({"graphs", "dependencies", "env", *_SECTIONS})


def open_projects(paths: Sequence[Path]) -> ServedProjects:
    """Return what `langgraph.json` files say together, with this process prepared for importing what they name.

    Raises:
        InvalidGraph: as `read_projects`.
    """
    projects = read_projects(paths)
    for project in projects.projects:
        prepare(project)
    return projects


def read_projects(paths: Sequence[Path]) -> ServedProjects:
    """Return what `langgraph.json` files say together.

    Raises:
        InvalidGraph: as `read_project`; or two of them have a graph of the same name, or each a section of the same
            name, which can hold for the whole server only once.
    """
    projects = tuple(read_project(path) for path in dict.fromkeys(path.absolute() for path in paths))
    for project in projects:
        path, image, unknown = project.path, ", ".join(project.image_keys), ", ".join(project.unknown_keys)
        if image:
            logger.info("{path}: these concern the building of an image alone: {keys}", path=path, keys=image)
        if unknown:
            logger.warning("{path}: these keys are unknown and do nothing: {keys}", path=path, keys=unknown)
    owners: dict[str, Path] = {}
    for project in projects:
        for entry in project.graphs:
            if (other := owners.setdefault(entry.graph_id, project.path)) != project.path:
                raise InvalidGraph(f'{project.path}: "graphs.{entry.graph_id}" stands in {other} too.')
    merged: dict[str, Any] = {}
    for name in ("store", "checkpointer", "auth", "http", "webhooks", "priority"):
        having = [project for project in projects if getattr(project, name) is not None]
        if len(having) > 1:
            raise InvalidGraph(
                f'{having[1].path}: "{name}" stands in {having[0].path} too; it holds for the whole server, so one'
                " file alone can have it."
            )
        if having:
            merged[name] = getattr(having[0], name)
    return ServedProjects(projects=projects, **merged)


def read_project(path: Path) -> Project:
    """Return what a `langgraph.json` says.

    Raises:
        InvalidGraph: there is no such file, it is not of that form, or it asks for what this server does not do; the
            sentence names the file and the key.
    """
    path = path.absolute()
    data = _json(path)
    graphs = data.get("graphs")
    if not isinstance(graphs, dict) or not graphs:
        raise InvalidGraph(f'{path}: "graphs" must map a name to "./file.py:graph".')
    if len(graphs) > MAX_GRAPHS:
        raise InvalidGraph(f'{path}: "graphs" has {len(graphs)} entries; {MAX_GRAPHS} are the most.')
    sections = {
        name: _section(path, name, section, data[name])
        for name, section in _SECTIONS.items()
        if data.get(name) is not None
    }
    env, env_file = _env(path, data.get("env", {}))
    unknown = [key for key in data if key not in _KNOWN | IMAGE_KEYS]
    unknown += [key for name, section in _SECTIONS.items() for key in _unknown(section, data.get(name), name)]
    project = Project(
        path=path,
        graphs=tuple(_entry(path, graph_id, value) for graph_id, value in graphs.items()),
        import_paths=_import_paths(path, data.get("dependencies", [])),
        env=env,
        env_file=env_file,
        image_keys=tuple(sorted(IMAGE_KEYS & data.keys())),
        unknown_keys=tuple(sorted(unknown)),
        **sections,
    )
    _refuse_what_is_not_done(project)
    return project


def prepare(project: Project) -> None:
    """Set the environment and the import path. What the process's environment already says is left as it is."""
    for name, value in project.env.items():
        os.environ.setdefault(name, value)
    for path in reversed(project.import_paths):
        if str(path) not in sys.path:
            sys.path.insert(0, str(path))


def _json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise InvalidGraph(f"{path}: is larger than {MAX_CONFIG_BYTES} bytes.")
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise InvalidGraph(f"{path}: cannot be read: {problem.strerror}.") from None
    except ValueError as problem:
        raise InvalidGraph(f"{path}: is not JSON: {problem}.") from None
    return data if isinstance(data, dict) else {}


def _entry(path: Path, graph_id: str, value: object) -> GraphEntry:
    description = ""
    if isinstance(value, dict):
        description = str(value.get("description") or "")
        value = value.get("path")
    reference = parse_reference(path, f"graph {graph_id!r}", value)
    if reference is None:
        raise InvalidGraph(f'{path}: "graphs.{graph_id}" must be "./file.py:graph" or "package.module:graph".')
    if not graph_id or len(graph_id) > 100:
        raise InvalidGraph(f'{path}: "graphs" has a name of {len(graph_id)} characters; 1 to 100 are allowed.')
    return GraphEntry(graph_id, reference, description)


def _section[T](path: Path, name: str, section: type[T], value: object) -> T:
    if not isinstance(value, dict):
        raise InvalidGraph(f'{path}: "{name}" must be a map.')
    try:
        return TypeAdapter(section).validate_python(value, context={"config": path, "section": name})
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in (name, *problem["loc"]))
        text = problem["msg"].removeprefix("Value error, ")
        raise InvalidGraph(f'{path}: "{key}": {text}.') from None


def _unknown(section: Any, value: object, prefix: str) -> Iterator[str]:
    """Yield the keys of a section that it does not have, below it too."""
    if not isinstance(value, dict):
        return
    known = {each.name: each.type for each in fields(section)}
    for key, inner in value.items():
        if key not in known:
            yield f"{prefix}.{key}"
            continue
        for kind in (known[key], *get_args(known[key])):
            if is_dataclass(kind) and kind is not Reference:
                yield from _unknown(kind, inner, f"{prefix}.{key}")


def _refuse_what_is_not_done(project: Project) -> None:
    """Refuse what would change where or how data are kept: to accept it and do something else would be a betrayal."""
    asked = {
        "encryption": project.encryption,
        "store.path": project.store and project.store.path,
        "checkpointer.path": project.checkpointer and project.checkpointer.path,
        "checkpointer.uri": project.checkpointer and project.checkpointer.uri,
        "checkpointer.backend": project.checkpointer and project.checkpointer.backend != "default",
        "checkpointer.serde.pickle_fallback": project.checkpointer
        and project.checkpointer.serde
        and project.checkpointer.serde.pickle_fallback,
        "auth.allow_langsmith_api_keys": project.auth and project.auth.allow_langsmith_api_keys,
    }
    for key, wanted in asked.items():
        if wanted:
            raise InvalidGraph(f'{project.path}: "{key}" is not supported by this server; take it out of the file.')
    prefix = project.http.mount_prefix if project.http is not None else ""
    if prefix and (not prefix.startswith("/") or prefix.endswith("/")):
        raise InvalidGraph(f'{project.path}: "http.mount_prefix" must begin with "/" and not end with it.')


def _import_paths(path: Path, dependencies: object) -> tuple[Path, ...]:
    """Folders among the dependencies, and their `src`; names of packages must be installed already."""
    if not isinstance(dependencies, list) or not all(isinstance(item, str) for item in dependencies):
        raise InvalidGraph(f'{path}: "dependencies" must be a list of folders and package names.')
    found: dict[Path, None] = {}
    for item in [".", *dependencies]:
        folder = (path.parent / item).resolve()
        if item.startswith(".") and not folder.is_dir():
            raise InvalidGraph(f'{path}: "dependencies" names the folder {item!r}, which is not there.')
        if item.startswith("."):
            found |= {folder: None}
            found |= {folder / "src": None} if (folder / "src").is_dir() else {}
    return tuple(found)


def _env(path: Path, env: object) -> tuple[dict[str, str], Path | None]:
    if isinstance(env, dict):
        return {str(name): str(value) for name, value in env.items()}, None
    if not isinstance(env, str):
        raise InvalidGraph(f'{path}: "env" must be a map or the name of a file.')
    file = (path.parent / env).resolve()
    if not file.is_file():
        raise InvalidGraph(f'{path}: "env" names the file {env!r}, which is not there.')
    from dotenv import dotenv_values

    return {name: value for name, value in dotenv_values(file).items() if value is not None}, file
