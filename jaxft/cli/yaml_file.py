"""Reading a YAML configuration: strict, with one line for each thing that is wrong and the nearest name for a wrong one."""

from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from jaxft.cli.config import Configuration, Section
from jaxft.errors import InputError, nearest


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, but a key given twice is an error: by itself the last one would win in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"key {key.value!r} is given twice", problem_mark=key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else "")
        return super().construct_mapping(node, deep)


Kind = TypeVar("Kind", bound=Section)


def read_configuration(path: Path) -> Configuration:
    """Read and validate the YAML file of a study. Raises InputError with one line for each thing that is wrong."""
    return read_as(Configuration, path)


def read_as(kind: type[Kind], path: Path) -> Kind:
    """Read and validate a YAML file as a configuration of some kind.

    Raises InputError with one line for each thing that is wrong.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist; expected a YAML configuration")
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict):
        raise InputError(f"{path} holds {type(data).__name__}, expected a mapping of settings")
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        problems = "; ".join(problem_of(item, kind) for item in error.errors())
        raise InputError(f"{path}: {problems}") from None


def problem_of(item: Any, kind: type[BaseModel] = Configuration) -> str:
    """One line for one of pydantic's errors."""
    where = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        known = _known_keys(item["loc"][:-1], kind)
        return f"unknown key {where!r}; expected one of {', '.join(known)}{nearest(str(item['loc'][-1]), known)}"
    if item["type"] == "missing":
        return f"{where} is missing"
    if item["type"] in ("model_type", "dict_type"):
        return f"{where} is {item['input']!r}, expected settings of its own (name: value, indented below {where})"
    message = str(item["msg"]).removeprefix("Input should be ").replace("Keys should be strings", "names as keys")
    return f"{where} is {item['input']!r}, expected {message}{_as_number(item['input'])}"


def _as_number(given: Any) -> str:
    """YAML 1.1 takes 1e-4 for a word, since it has no decimal point."""
    try:
        value = float(given) if isinstance(given, str) else None
    except ValueError:
        return ""
    return "" if value is None else f" (YAML reads {given!r} as text; write {_with_point(value)} without quotes)"


def _with_point(value: float) -> str:
    mantissa, exponent, power = repr(value).partition("e")
    return mantissa + (".0" if "." not in mantissa else "") + exponent + power


def _known_keys(location: tuple[int | str, ...], kind: type[BaseModel]) -> list[str]:
    section = kind
    for part in location:
        if isinstance(part, int):
            continue  # a place in a list: its sections are all of one kind
        annotation: Any = section.model_fields[part].annotation
        section = get_args(annotation)[0] if get_origin(annotation) is list else annotation
    return list(section.model_fields)
