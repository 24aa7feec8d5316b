"""Verbs that train: the words after the recipe's name change values of its experiment."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

from mien.errors import UserError
from mien.options import Arg, HelpWanted, from_keywords, help_text, parse
from mien.options.calls import doc_of, signature_of
from mien.options.shared import OnDevice
from mien.recipes import index, recipe
from mien.verbs import renamed
from mien.verbs.main import say_once

if TYPE_CHECKING:
    from mien.models import Model

ASKED = ("-h", "--help")


@dataclass(frozen=True, kw_only=True)
class Training(OnDevice):
    """What every training run starts from, and where it runs."""

    init: Annotated[Model | str | None, Arg(metavar="MODEL")] = None
    """Run, model folder or hub id to start from instead of random weights."""


@dataclass(frozen=True)
class RecipeVerb:
    """A verb whose first word is a recipe.

    Args:
        options: class of the verb's own options.
        modules: where its recipes are.
        work: takes the options and the experiment.
        show: prints what `work` returned, on the command line.
        words: names of the words that come before the recipe.
        usual: the recipe where none is named, by those words.
    """

    name: str
    options: type
    modules: tuple[str, ...]
    work: Callable[..., Any]
    show: Callable[[Any], None]
    words: tuple[str, ...] = ()
    usual: Callable[[Sequence[str]], str] | None = None

    def main(self, argv: Sequence[str]) -> int:
        """Runs ``mien VERB`` with the words after the verb, and prints what it made; returns the exit code.

        Raises:
            HelpWanted: with the text.
            UserError: words that cannot be.
        """
        named = list(argv[: len(self.words) + 1])
        named = named[: next((i for i, word in enumerate(named) if word.startswith("-")), len(named))]
        if len(named) < len(self.words) or (len(named) == len(self.words) and self.usual is None):
            self._refuse(argv)
        before, rest = named[: len(self.words)], argv[len(named) :]
        name = named[-1] if len(named) > len(self.words) else self._usual(before)
        if name in renamed.RECIPES:
            raise UserError(f"there is no recipe {name} any more: {renamed.RECIPES[name]}")
        prog = " ".join(["mien", self.name, *before, name])
        options, experiment = parse((self.options, recipe(name, self.modules)), rest, prog)
        self.show(self.work(*before, options, experiment))
        return 0

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The same from Python: the words before the recipe, the recipe (a name, or an `Experiment`), then keywords."""
        before, args = args[: len(self.words)], args[len(self.words) :]
        named = args[0] if args else kwargs.pop("recipe", None)
        if named is None and self.usual:
            named = self._usual(before)
        if named is None:
            raise UserError(f"received no recipe; there are {', '.join(index(self.modules))}")
        experiment = recipe(named, self.modules) if isinstance(named, str) else named() if callable(named) else named
        options, experiment = from_keywords((self.options, experiment), args[1:], kwargs)
        return self.work(*before, options, experiment)

    @property
    def function(self) -> Callable[..., Any]:
        """`call` as ``mien.VERB``, whose signature and help list the options."""

        def call(*args: Any, **kwargs: Any) -> Any:
            return self.call(*args, **kwargs)

        names = [*(word.lower() for word in self.words), "recipe"]
        first = [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in names]
        rest = [p.replace(kind=Parameter.KEYWORD_ONLY) for p in signature_of(self.options).parameters.values()]
        call.__name__ = call.__qualname__ = self.name
        where = " ".join(["mien", self.name, *self.words, "RECIPE"])
        call.__doc__ = (
            f"{doc_of(self.options)}\n    changes: fields of the recipe, by name; `{where} --help all` lists them.\n\n"
            f"{inspect.getdoc(self.work) or ''}"
        )
        call.__dict__["__signature__"] = Signature([*first, *rest, Parameter("changes", Parameter.VAR_KEYWORD)])
        return call

    def _usual(self, before: Sequence[str]) -> str:
        assert self.usual is not None
        return self.usual(before)

    def _refuse(self, argv: Sequence[str]) -> NoReturn:
        """Words without a recipe: the help, or an error."""
        wanted = " ".join([*self.words, "RECIPE"] if self.usual is None else self.words)
        prog = f"mien {self.name}"
        if not any(word in ASKED for word in argv):
            names = f"; there are {', '.join(index(self.modules))}" if self.usual is None else ""
            raise UserError(f"received no {wanted}: {prog} {wanted} ...{names}")
        text = help_text(self.options, f"{prog} {wanted}", everything="all" in argv)
        raise HelpWanted(
            f"{text}\n\n{self._recipes()}\n\n{prog} {wanted} --help [all] lists what may be changed of one."
        )

    def _recipes(self) -> str:
        table = index(self.modules)
        width = max(map(len, table)) + 4
        lines = [
            f"  {name:<{width - 2}}{textwrap.shorten(entry.summary, 110 - width)}" for name, entry in table.items()
        ]
        return "\n".join(["recipes", *lines])


def show_model(model: Model) -> None:
    """Says where the model of a run is."""
    say_once(f"model: {model.path}")
