"""What is inside a callable that upscales: its networks, and a digest of everything that its output depends on.

People hand over a torch module, a function around one, a bound method, a partial, or an object that holds one. The
networks in all of these have to be in evaluation mode, and two with different weights must not be taken for one.
"""

from __future__ import annotations

import dis
import hashlib
import inspect
import sys
import sysconfig
import warnings
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, FunctionType, MethodType
from typing import Any

PLAIN = (bool, int, float, complex, str, bytes, bytearray, type(None))
VALUES = ("array", "datetime", "decimal", "fractions", "pathlib", "re", "uuid")
"""Libraries whose objects are values, told by how they are printed."""

NO_STATE = ("_io", "_thread", "contextlib", "io", "logging", "threading", "weakref")
"""Libraries whose objects change by being used, and change no output."""

LIBRARIES = ("abc", "builtins", "collections", "enum", "functools", "numpy", "srbench", "torch", "types", "typing")
"""Whose classes are told by their name: their code is that of the environment."""

DEPTH = 8
"""How many objects deep is looked: a function around a wrapper around a pipeline around a dictionary of networks."""


@contextmanager
def evaluating(thing: object) -> Iterator[None]:
    """The networks of a callable in evaluation mode; each of their modules gets its own mode back.

    In the other mode batch norm would count what passes.
    """
    before = [(part, part.training) for network in networks_in(thing) for part in network.modules()]
    try:
        for network in networks_in(thing):
            network.eval()
        yield
    finally:
        for part, mode in before:
            part.training = mode


@contextmanager
def calls_evaluate() -> Iterator[None]:
    """Whatever network is called meanwhile is in evaluation mode, also one that is found by a getter, or by its name
    as text, where `networks_in` cannot see it; each module gets its own mode back.
    """
    from torch.nn.modules.module import register_module_forward_pre_hook

    before: list[tuple[Any, bool]] = []

    def evaluate(network: Any, inputs: object) -> None:
        if network.training:
            modes = [(part, part.training) for part in network.modules()]
            with suppress(NotImplementedError):  # an exported program has no modes to change
                network.eval()
                before.extend(modes)

    hook = register_module_forward_pre_hook(evaluate)
    try:
        with warnings.catch_warnings():  # the hook runs twice for a network of torch.compile, which does not matter
            warnings.filterwarnings("ignore", message="Using `torch.compile")
            yield
    finally:
        hook.remove()
        for part, mode in reversed(before):
            part.training = mode


def networks_in(thing: object) -> list[Any]:
    """The torch modules that a callable is, holds, or refers to by name; none inside another."""
    from torch import nn

    found: dict[int, Any] = {}
    seen: dict[int, Any] = {}  # held, so that no other object takes a number over
    waiting = [(thing, 0)]
    while waiting:
        item, depth = waiting.pop()
        if id(item) in seen:
            continue
        seen[id(item)] = item
        if isinstance(item, nn.Module):
            found[id(item)] = item
            seen.update((id(part), part) for part in item.modules())
            waiting += [(value, depth + 1) for part in item.modules() for _, value in parts_of(part)]
        elif depth < DEPTH:
            waiting += [(value, depth + 1) for _, value in parts_of(item)]
    return list(found.values())


def parts_of(thing: object) -> list[tuple[str, Any]]:
    """What a callable is made of, by name: the variables of a function, the object of a method, an object's own."""
    if isinstance(thing, MethodType):
        return [("self", thing.__self__), ("function", thing.__func__)]
    if isinstance(thing, partial):
        return [("function", thing.func), ("arguments", thing.args), ("keywords", thing.keywords)]
    if isinstance(thing, FunctionType):
        return sorted(_variables(thing).items())
    if isinstance(thing, Mapping):
        return [(str(key), value) for key, value in thing.items()]
    if isinstance(thing, (list, tuple, deque)):
        return [(str(index), value) for index, value in enumerate(thing)]
    if isinstance(thing, type):
        return [] if _is_installed(thing.__module__) else _of_class(thing)
    if inspect.ismodule(thing) or _is_of(type(thing), NO_STATE):
        return []
    return [*sorted(_own(thing).items()), *_of_class(type(thing))]


def _own(thing: Any) -> dict[str, Any]:
    """What an object holds; of a torch module what it keeps beside its tensors and parts, and its hooks."""
    from torch import nn

    slots = [name for kind in type(thing).__mro__ for name in _names(vars(kind).get("__slots__", ()))]
    held = {name: getattr(thing, name) for name in slots if hasattr(thing, name)} | getattr(thing, "__dict__", {})
    if isinstance(thing, nn.Module):
        hooks = {name: list(held[name].values()) for name in ("_forward_pre_hooks", "_forward_hooks") if held.get(name)}
        own = {name: value for name, value in held.items() if name not in vars(nn.Module())}
        if _is_of(type(thing), ("torch",)):  # torch.compile's keeps its compiler, which is another in each process
            own = {name: value for name, value in own.items() if isinstance(value, PLAIN) and name[0] != "_"}
        return own | hooks
    return {} if _is_of(type(thing), ("torch",)) else held


def _names(slots: str | Iterable[str]) -> list[str]:
    return [slots] if isinstance(slots, str) else list(slots)


def _of_class(kind: type) -> list[tuple[str, Any]]:
    """The functions and the values in the body of an object's class and of those above it, up to a library's."""
    found: dict[str, Any] = {}
    for one in kind.__mro__:
        if not _is_of(one, (*LIBRARIES, *NO_STATE)):
            members = {name: _function_of(value) for name, value in vars(one).items() if _is_written(name, value)}
            found = members | found
    return sorted(found.items())


def _is_written(name: str, value: object) -> bool:
    """Whether a member of a class is what its author wrote, and no bookkeeping of Python."""
    return (
        isinstance(value, FunctionType)
        or not (name.startswith("__") or inspect.isdatadescriptor(value))
        or (isinstance(value, property))
    )


def _function_of(member: Any) -> Any:
    """The function inside a property, class method or static method; anything else as it is."""
    return member.fget if isinstance(member, property) else getattr(member, "__func__", member)


def _is_of(kind: type, libraries: tuple[str, ...]) -> bool:
    return kind.__module__.partition(".")[0] in libraries


def _variables(function: FunctionType) -> dict[str, Any]:
    """The defaults of a function, and the variables outside that it, or a function inside it, refers to."""
    own = {"defaults": function.__defaults__, "keyword defaults": function.__kwdefaults__}
    names = {name for code in _codes(function.__code__) for name in code.co_names}
    cells = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # a variable that is not set yet
            cells[name] = cell.cell_contents
    return {**_named(names, function.__globals__), **_imported(function), **cells, **own}


def _imported(function: FunctionType) -> dict[str, bytes]:
    """The files of the user's own modules that are imported inside a function, where they are found."""
    found = {}
    for code in _codes(function.__code__):
        steps = list(dis.get_instructions(code))
        for index, step in enumerate(steps):
            if step.opname == "IMPORT_NAME":
                name = "." * steps[index - 2].argval + step.argval  # its level was put on the stack two steps before
                with suppress(ImportError, ValueError, OSError):
                    spec = find_spec(name, function.__globals__.get("__package__"))
                    if spec and spec.origin and spec.has_location and not _is_of_environment(Path(spec.origin)):
                        found[f"import {name}"] = Path(spec.origin).read_bytes()
    return found


def _codes(code: CodeType) -> Iterator[CodeType]:
    """The code of a function and of those inside it: lambdas, and before Python 3.12 comprehensions."""
    yield code
    for value in code.co_consts:
        if isinstance(value, CodeType):
            yield from _codes(value)


def _named(names: Collection[str], space: Mapping[str, Any], depth: int = 3) -> dict[str, Any]:
    """What names stand for in a module, and in the user's own modules that are among it: `nets.fine.model`."""
    found = {name: space[name] for name in names if name in space}
    for name, value in list(found.items()):
        if depth and inspect.ismodule(value) and not _is_installed(value.__name__):
            inside = _named(names, vars(value), depth - 1)
            found |= {f"{name}.{inner}": part for inner, part in inside.items()}
    return found


@cache
def _is_installed(module: str) -> bool:
    """Whether a module is Python's or of an installed package, and so part of the environment; or unknown."""
    home = module.partition(".")[0]
    if home in (*LIBRARIES, *sys.stdlib_module_names):
        return True
    file = getattr(sys.modules.get(home), "__file__", None)
    return file is not None and _is_of_environment(Path(file))


def _is_of_environment(file: Path) -> bool:
    installed = {Path(sysconfig.get_path(kind)).resolve() for kind in ("stdlib", "purelib", "platlib")}
    return not installed.isdisjoint(file.resolve().parents)


def state_digest(thing: object) -> str:
    """sha256 (hex) of a callable: its code, the weights and structure of its networks, and plain values it holds.

    What is neither (an open file, a session of another library) counts by its type alone.
    """
    sha = hashlib.sha256()
    for line in _described(thing, "", DEPTH, {}):
        sha.update(line)
    return sha.hexdigest()


def _described(thing: Any, path: str, depth: int, seen: dict[int, Any]) -> Iterator[bytes]:
    import numpy as np
    import torch

    if isinstance(thing, torch.Tensor):
        yield from _tensor(thing, path)
    elif isinstance(thing, np.ndarray):
        yield f"{path}: {thing.dtype} {thing.shape}\n".encode() + thing.tobytes()
    elif isinstance(thing, (*PLAIN, np.generic, torch.dtype, torch.device, range, slice)) or _is_of(
        type(thing), VALUES
    ):
        yield f"{path}: {thing!r}\n".encode()
    elif isinstance(thing, (set, frozenset)):
        yield f"{path}: {sorted(map(repr, thing))}\n".encode()
    else:
        yield f"{path}: {type(thing).__qualname__}\n".encode()
        if isinstance(thing, FunctionType):
            yield _code(thing.__code__)
        elif isinstance(thing, (torch.jit.ScriptFunction, torch.jit.ScriptModule)):
            yield str(thing.code).encode()
        if id(thing) in seen:
            return
        seen[id(thing)] = thing
        if isinstance(thing, torch.nn.Module):
            yield from _network(thing, path, seen)
        elif depth:
            for name, value in parts_of(thing):
                yield from _described(value, f"{path}.{name}", depth - 1, seen)


def _network(network: Any, path: str, seen: dict[int, Any]) -> Iterator[bytes]:
    """Its tensors; and of each part the printed form, and what it keeps and runs that is not torch's."""
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        yield from _tensor(tensor, f"{path}.{name}")
    for name, part in network.named_modules():
        yield f"{path}.{name}: {type(part).__qualname__} {part.extra_repr()}\n".encode()
        seen[id(part)] = part
        for key, value in parts_of(part):
            yield from _described(value, f"{path}.{name}.{key}", DEPTH, seen)


def _tensor(tensor: Any, path: str) -> Iterator[bytes]:
    import torch

    yield f"{path}: {tensor.dtype} {tuple(tensor.shape)}\n".encode()
    if tensor.numel():
        yield tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def _code(code: CodeType) -> bytes:
    """The instructions and constants of a function, and of those inside it; not where they stand in a file."""
    constants = [value for value in code.co_consts if not isinstance(value, CodeType)]
    inner = b"".join(_code(value) for value in code.co_consts if isinstance(value, CodeType))
    return code.co_code + repr((constants, code.co_names)).encode() + inner
