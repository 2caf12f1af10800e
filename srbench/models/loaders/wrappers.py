"""The generator's tensors out of what a trainer saved: its dictionary under whatever name, its names without prefixes.

Where averaged weights (EMA) lie beside the last ones, they are meant: that is what trainers publish scores of, and what
BasicSR's own test scripts take. Which ones were taken is told wherever there was a choice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from srbench.base.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

State = dict[str, "Tensor"]

WRAPPERS = ("params_ema", "ema", "params", "generator", "net_g", "netG", "state_dict", "model_state_dict", "model")
"""Keys under which trainers put a generator's weights, in the order in which they are preferred."""

AVERAGED = re.compile(
    r"(?i:(?:^|[\W_])(?:ema|swa|average[ds]?|m?avg)\d*(?=[\W_]|$)|shadow|polyak)"
    r"|(?:^|[\W_])(?:ema|swa|averaged?|avg)(?=[A-Z])"
    r"|(?:EMA|Ema|SWA|Swa|Averaged?|Avg)(?![A-Za-z])"
    r"|(?:EMA|SWA)(?=[A-Z][a-z])|(?:Ema|Swa|Averaged?|Avg(?!Pool))(?=[A-Z])"
)
"""What names of averaged weights have in them: `params_ema`, `modelEMA`, `emaModel`, `model_averages`, `shadow`."""

NO_GENERATOR = re.compile(r"optim|sched|disc|(^|_)(net_?)?d(_|$)|critic|loss|(^|_)scaler|rng|vgg|metric", re.IGNORECASE)
"""Names of what is saved beside a generator, and holds tensors too."""

PREFIXES = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before every name."""

GENERATORS = ("generator", "net_g", "netg")
"""Modules in which GAN trainers that keep both networks in one, as Lightning does, have the generator: in any case."""

BESIDE_ANOTHER = ("gen", "g")
"""Names of generators where a discriminator is beside them; alone, `g` is a part of many a network."""

HOLDERS = ("model", "net", "network", "module", "ema_model", "model_ema")
"""Modules in which others have the network, beside losses and metrics; some networks use these names themselves."""


NO_AVERAGE = re.compile(rf"{NO_GENERATOR.pattern}|collected|backup|online", re.IGNORECASE)
"""Names of what lies beside averages, and is none: of others, or a copy of the last weights."""

COUNTERS = ("n_averaged", "num_updates", "decay")
"""What averages keep among their tensors."""

BUFFERS = re.compile(r"(^|\.)(running_mean|running_var|num_batches_tracked)$")
"""What is no parameter: lists of averaged parameters leave it out."""

DEPTH = 8
"""How many dictionaries deep a generator is looked for."""


def unwrapped(content: Any) -> tuple[State, str]:
    """The innermost dictionary of tensors, without its entries that are no tensors; and what was chosen, in a line.

    Empty where there is none. Raises `InputError` where several could be the generator's, naming them.
    """
    from torch import Tensor

    whole, path, told = content, list[str](), ""
    for _ in range(DEPTH):  # a pickle may hold itself
        if not isinstance(content, Mapping):
            break
        inside = {str(key): value for key, value in content.items() if _holds_tensors(value)}
        if _averages_stand_for_the_weights(content):
            key, told = "state_dict", "weights state_dict taken, which are the averaged ones"
        else:
            key = _choice(inside, any(isinstance(value, Tensor) for value in content.values()))
            told = told or _told(key, inside)
        if not key:
            found = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
            averaged = told or any(map(AVERAGED.search, path))
            return _completed(found, whole, told) if averaged else _with_averages(found, whole, ".".join(path))
        path.append(key)
        content = inside[key]
    return {}, told


def _averages_stand_for_the_weights(content: Mapping[Any, Any]) -> bool:
    """Whether a trainer exchanged the two: Lightning's WeightAveraging, and mmengine, which has `steps` there."""
    last = content.get("ema_state_dict")
    exchanged = "averaging_state" in content or (isinstance(last, Mapping) and "steps" in last)
    return exchanged and "state_dict" in content


def _choice(inside: Mapping[str, Any], has_tensors: bool) -> str:
    """The key to go on under; empty where there is none, or the tensors beside it are the network's."""
    known = [key for key in inside if key in WRAPPERS]
    others = [key for key in inside if not NO_GENERATOR.search(key)] if not has_tensors else []
    if averaged := [key for key in known + others if AVERAGED.search(key)]:
        return averaged[0]
    if known:
        return min(known, key=WRAPPERS.index)
    if len(others) > 1:
        raise InputError(
            f"holds several dictionaries of tensors: {', '.join(others)}. Save the generator's alone: "
            f"torch.save(torch.load(FILE)[{others[0]!r}], 'net.pth')"
        )
    return others[0] if others else ""


def _holds_tensors(value: object) -> bool:
    """Whether a value is a dictionary of tensors by name, or has one in it; the state of an optimiser is none."""
    return any(isinstance(one, Mapping) for _, one in _containers(value))


def _containers(content: object) -> Iterator[tuple[tuple[str, ...], Mapping[Any, Any] | list[Any] | tuple[Any, ...]]]:
    """Whatever holds tensors by name, or in a list, with the keys that lead there; each once: files hold themselves."""
    from torch import Tensor

    todo: list[tuple[tuple[str, ...], Any]] = [((), content)]
    seen: set[int] = set()
    for path, one in todo:  # which grows
        if id(one) in seen or not isinstance(one, (Mapping, list, tuple)):
            continue
        seen.add(id(one))
        values: Iterable[Any] = one
        if isinstance(one, Mapping):
            if "param_groups" in one:
                continue
            values = [value for key, value in one.items() if isinstance(key, str)]
            todo += [((*path, str(key)), value) for key, value in one.items()] if len(path) < DEPTH else []
        if any(isinstance(value, Tensor) and value.ndim for value in values):
            yield path, one


def _with_averages(tensors: State, content: object, path: str) -> tuple[State, str]:
    """The network's tensors with those averages in their place that lie elsewhere in the file, and what was taken.

    `path` is where the tensors are. Averages that do not fit them are told and left alone, and so are dictionaries that
    would fit, and whose names do not say that they are averages: `model` beside `target`.
    """
    there = {
        ".".join(keys): averages
        for keys, averages in _containers(content)
        if any(map(AVERAGED.search, keys)) and not any(map(NO_AVERAGE.search, keys))
    }
    for where, averages in there.items():
        begun = not where.endswith("average_model_state")  # Lightning's SWA: not begun, or in the weights already
        if begun and (fitted := _fitted(tensors, averages)):
            return fitted, f"weights {where} taken, not {path or 'those beside them'}"
    if there:
        return tensors, f"weights {path} taken; averaged ones are in the file too: {', '.join(there)}"
    twins = [
        ".".join(keys)
        for keys, one in _containers(content)
        if isinstance(one, Mapping) and ".".join(keys) != path and len(one) >= len(tensors) and _fitted(tensors, one)
        if not any(map(NO_AVERAGE.search, keys))
    ]
    return tensors, f"weights {path} taken, not {', '.join(twins)}" if twins else ""


def _completed(averages: State, content: object, told: str) -> tuple[State, str]:
    """Averages of parameters alone, and what else its last weights have, as batch norm's statistics."""
    from torch import Tensor

    for keys, one in _containers(content):
        if not isinstance(one, Mapping) or any(AVERAGED.search(key) or NO_GENERATOR.search(key) for key in keys):
            continue
        last = {str(name): value for name, value in one.items() if isinstance(value, Tensor)}
        fitted = _fitted(last, averages)
        if len(fitted) > len(averages.keys() - {*COUNTERS}):
            return fitted, f"{told}; what they lack is of {'.'.join(keys) or 'the tensors beside them'}".lstrip("; ")
    return averages, told


def _fitted(tensors: State, averages: Any) -> State:
    """Tensors with their averages in place: by name, dots left out or not, or by order. Empty where they do not fit."""
    from torch import Tensor

    if isinstance(averages, Mapping):
        names = {_bare(name): name for name in tensors}
        found = [{names.get(_bare(str(name)), ""): one for name, one in averages.items() if name not in COUNTERS}]
    else:
        parameters = [name for name in tensors if not BUFFERS.search(name)]
        orders = [names for names in (list(tensors), parameters) if len(names) == len(averages)]
        found = [dict(zip(names, averages, strict=True)) for names in orders]
    for candidate in found:
        if candidate and all(
            name in tensors and isinstance(one, Tensor) and one.shape == tensors[name].shape
            for name, one in candidate.items()
        ):
            return {**tensors, **candidate}
    return {}


def _bare(name: str) -> str:
    """A tensor's name without prefixes and dots, which buffers cannot have in theirs."""
    return re.sub(rf"^({'|'.join(map(re.escape, PREFIXES))})+", "", name).replace(".", "")


def _told(key: str, others: Iterable[str]) -> str:
    """What was chosen of several that could have been meant: averaged weights, or those that are not."""
    rest = [other for other in others if other != key and not NO_GENERATOR.search(other)]
    return f"weights {key} taken, not {', '.join(rest)}" if rest and AVERAGED.search(key) else ""


def without_prefixes(tensors: Mapping[str, Tensor]) -> State:
    """The names without any of `PREFIXES` that all of them share, as often as they do; averages without counters."""
    names = {name: tensor for name, tensor in tensors.items() if name not in COUNTERS}
    while names and (prefix := next((one for one in PREFIXES if all(name.startswith(one) for name in names)), "")):
        names = {name.removeprefix(prefix): tensor for name, tensor in names.items()}
    return names


def generator_of(tensors: Mapping[str, Tensor]) -> tuple[State, str]:
    """The tensors of the module that is called as one of `GENERATORS`, averaged ones first, and what was chosen.

    Where there is none, all of them: a discriminator or a loss beside it would upscale nothing.
    """
    heads = _heads(tensors)
    known = {*GENERATORS, *(BESIDE_ANOTHER if any(map(NO_GENERATOR.search, heads)) else ())}
    found = [head for head in heads if {head.lower(), AVERAGED.sub("", head).strip("_").lower()} & known]
    found.sort(key=lambda head: not AVERAGED.search(head))
    if not found:
        return dict(tensors), ""
    told = f"weights {found[0]} taken, not {', '.join(found[1:])}" if len(found) > 1 else ""
    return inside(tensors, found[0]), told


def _heads(tensors: Iterable[str]) -> list[str]:
    """The modules that tensors are in, by their names."""
    return list(dict.fromkeys(name.partition(".")[0] for name in tensors if "." in name))


def inside(tensors: Mapping[str, Tensor], head: str) -> State:
    """The tensors of one module, by the names that they have in it."""
    prefix = f"{head}."
    own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    return without_prefixes(own)


def other_readings(tensors: Mapping[str, Tensor]) -> list[tuple[State, str]]:
    """Other readings of a file, best first, and what each takes: the tensors of one module, as one of `HOLDERS`, and
    of those inside it (`model.net.`, `model.generator.`).

    Averaged ones come first: alone, and in the place of those that they are averages of.
    """
    heads = _heads(tensors)
    averaged = [head for head in heads if AVERAGED.search(head)]
    readings = []
    for average in averaged:
        own = inside(tensors, average)
        for head in heads:
            if head not in averaged and (fitted := _fitted(inside(tensors, head), own)):
                readings.append((fitted, f"weights {average} taken, not {head}"))
        readings.append((own, f"weights {average} taken" if len(heads) > 1 else ""))
    left = f"; averaged ones are in the file too: {', '.join(averaged)}"
    for head in heads:
        if head not in averaged and (head in HOLDERS or len(heads) == 1):
            own = inside(tensors, head)
            twins = [other for other in heads if other != head and inside(tensors, other).keys() == own.keys()]
            told = f"weights {head} taken, not {', '.join(twins)}" if twins else ""
            readings.append((own, f"weights {head} taken{left}" if averaged else told))
            generator = generator_of(own)
            readings += [generator] * (len(generator[0]) < len(own)) + other_readings(own)
    return readings
