"""A digest of a callable that somebody made in Python: so that two of one name are told apart.

What it is made of is followed from the object: weights and buffers of torch modules, attributes, what functions close
over, and code. Code that it calls elsewhere is not. What cannot be followed makes the digest one that never recurs: a
score that might be another's is made again, never taken for it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from functools import partial
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

DEPTH = 12


def digest_of(thing: object) -> str:
    """sha256 (hex) of a callable: the same for the same code and values, in any process."""
    total = hashlib.sha256()
    for part in _parts(thing, DEPTH, set()):
        total.update(len(part).to_bytes(8, "little") + part)
    return total.hexdigest()


def _parts(thing: Any, depth: int, seen: set[int]) -> Iterator[bytes]:
    """The bytes that an object is made of, in an order of its own."""
    import numpy as np
    import torch

    yield f"{type(thing).__module__}.{type(thing).__qualname__}".encode()
    if thing is None or isinstance(thing, (bool, int, float, complex, str, bytes, torch.dtype, torch.device)):
        yield repr(thing).encode()
    elif isinstance(thing, torch.Tensor):
        yield f"{thing.dtype} {tuple(thing.shape)}".encode()
        yield thing.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    elif isinstance(thing, np.ndarray) and thing.dtype != object:
        yield f"{thing.dtype} {thing.shape}".encode() + np.ascontiguousarray(thing).tobytes()
    elif isinstance(thing, (ModuleType, BuiltinFunctionType)):
        yield f"{getattr(thing, '__module__', '')}.{thing.__name__}".encode()
    elif id(thing) in seen:
        yield b"again"
    elif depth == 0:
        yield secrets.token_bytes(16)
    else:
        for inner in _inside(thing):
            yield from _parts(inner, depth - 1, seen | {id(thing)})


def _inside(thing: Any) -> list[Any]:
    """What a composed object holds."""
    if isinstance(thing, CodeType):
        return [thing.co_code, thing.co_names, thing.co_consts]
    if isinstance(thing, FunctionType):
        used = {name: thing.__globals__[name] for name in thing.__code__.co_names if name in thing.__globals__}
        cells = [cell.cell_contents for cell in thing.__closure__ or ()]
        return [thing.__code__, thing.__defaults__, thing.__kwdefaults__, cells, used]
    if isinstance(thing, MethodType):
        return [thing.__func__, thing.__self__]
    if isinstance(thing, partial):
        return [thing.func, thing.args, thing.keywords]
    if isinstance(thing, dict):
        return [item for key in sorted(thing, key=repr) for item in (key, thing[key])]
    if isinstance(thing, (list, tuple)):
        return [len(thing), *thing]
    if isinstance(thing, (set, frozenset)):
        return sorted(thing, key=repr)
    if isinstance(thing, type):
        return [thing.__qualname__, thing.__module__, [vars(thing)[name] for name in _methods(thing)]]
    if hasattr(thing, "__dict__"):
        return [type(thing), vars(thing), *_slots(thing)]
    return [secrets.token_bytes(16)]


def _methods(kind: type) -> list[str]:
    """The functions of a class that was not installed with a package; those of torch are known by their name."""
    if kind.__module__.partition(".")[0] in ("torch", "builtins", "numpy", "functools"):
        return []
    return sorted(name for name, value in vars(kind).items() if isinstance(value, FunctionType))


def _slots(thing: Any) -> list[Any]:
    names = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
    return [getattr(thing, name, None) for name in names if not name.startswith("__")]
