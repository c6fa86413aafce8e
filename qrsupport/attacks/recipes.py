"""Recipes that are the reader's own: found by import path, told apart by their source, tried before any work.

A recipe's identity is its module, its qualified name and a digest of its module's source, so that
two classes of one name never share records and an edited one is run again.  What the module itself
imports is not part of the digest.
"""

import contextlib
import hashlib
import importlib
import inspect
import os
import sys
import types
from typing import Any

import numpy as np

from .. import config, offline
from ..errors import BadParameter, UnknownName
from ..lexicons import resources
from . import goals, ranking, wiring


def find(path: str) -> type:
    """The recipe that `package.module:Class` names.

    Modules are looked for on Python's path and in the working directory.  Raises BadParameter if
    the module cannot be imported or the class is no AttackRecipe, UnknownName if it has no such class.
    """
    module, _, name = path.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # which a worker process is told, too
    try:
        found: Any = importlib.import_module(module)
    except Exception as e:  # whatever a module does when imported
        raise BadParameter(
            f"attack={path!r}: the module {module} cannot be imported ({type(e).__name__}: {e}); "
            "name one in the working directory or on PYTHONPATH"
        ) from e
    own = [n for n, value in vars(found).items() if is_recipe(value)]
    try:
        for part in name.split("."):
            found = getattr(found, part)
    except AttributeError:
        raise UnknownName(f"recipe of {module}", name, own) from None
    if not is_recipe(found):
        raise BadParameter(f"attack={path!r} is no subclass of textattack.attack_recipes.AttackRecipe")
    return found


def is_recipe(value) -> bool:
    """Whether `value` is a class of TextAttack's AttackRecipe kind."""
    return isinstance(value, type) and issubclass(value, wiring.attack_recipes.AttackRecipe)


def name(recipe: type) -> str:
    """A recipe's name in parameters and records: the catalogue's, or `package.module:Class`."""
    own = {cls: short for short, cls in wiring.RECIPES.items()}
    return own.get(recipe) or f"{recipe.__module__}:{recipe.__qualname__}"


def digest(recipe: type) -> str:
    """The SHA-256 of the source of the recipe's module, else of the class, else of its functions' code."""
    things: tuple = (sys.modules.get(recipe.__module__), recipe)
    for thing in things:
        with contextlib.suppress(OSError, TypeError):
            return hashlib.sha256(inspect.getsource(thing).encode("utf-8", "surrogatepass")).hexdigest()
    return config.key([[key, _code(value)] for key, value in sorted(vars(recipe).items())])


def _code(value) -> list:
    """What a function does, as JSON can hold it; of anything else, nothing."""
    code = getattr(getattr(value, "__func__", value), "__code__", value)
    if not isinstance(code, types.CodeType):
        return []
    constants = [_code(c) or repr(c) for c in code.co_consts]
    return [code.co_code.hex(), list(code.co_names), constants]


class Blank:
    """A classifier that has no opinion, for trying out a recipe: (len(texts), 2) zeros."""

    def __call__(self, texts):
        return np.zeros((len(texts), 2), np.float32)


def supply(p: config.Parameters, recipe: type) -> resources.Resources:
    """What `recipe` draws on; all that would stop it is said here, before any work.

    It is built once for a classifier that has no opinion: what it asks for meanwhile are its parts.
    Raises CannotRun, MissingResource, NoNetwork or BadParameter.
    """
    asked = {}

    def ask(part):
        asked[part] = getattr(resources.load(p.resources, p.network, parts=(part,)), part)
        return asked[part]

    built = blank(p, recipe, ask)
    if p.margin or p.joint or p.spare:
        goals.aim(built, p.margin)
    if p.ranking:
        ranking.check(built)
    sent(p, recipe)
    return resources.load(p.resources, p.network, parts=tuple(sorted(asked)))


def blank(p: config.Parameters, recipe: type, find):
    """The attack of a recipe on a classifier that has no opinion; as `wiring.build_recipe`."""
    with offline.network(p.network):
        return wiring.build_recipe(recipe, find, wiring.Wrapper(Blank()), p.query_budget)


def importable(recipe: type) -> bool:
    """Whether another process can import the recipe: one that is defined in a notebook or a function it cannot."""
    return "<locals>" not in recipe.__qualname__ and bool(getattr(sys.modules.get(recipe.__module__), "__file__", None))


def sent(p: config.Parameters, recipe: type) -> None:
    """Raises BadParameter if worker processes are asked for that could not import the recipe."""
    if p.workers > 1 and not importable(recipe):
        raise BadParameter(
            f"workers={p.workers}: a worker process cannot import {recipe.__qualname__}, which is defined in a notebook "
            "or a function; put it into a module, or set workers=1"
        )
