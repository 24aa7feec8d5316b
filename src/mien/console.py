"""The console of every command. File names, labels and people's words reach it: none of them is read as rich's markup."""

from __future__ import annotations

from rich.console import Console


def console(errors: bool = False, quiet: bool = False) -> Console:
    """Standard output, or standard error. What is printed is shown as it is; colour comes as `rich.text.Text`.

    Args:
        quiet: nothing is shown, neither text nor a progress bar.
    """
    return Console(stderr=errors, quiet=quiet, markup=False, highlight=False)
