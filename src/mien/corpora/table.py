"""Every corpus by the name it has on the command line. A new one is a file and a line here."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mien.corpora.aff_wild2 import AffWild2
from mien.corpora.avcaffe import AVCAffe
from mien.corpora.corpus import Corpus, Listing
from mien.corpora.crema_d import CremaD
from mien.corpora.dfew import Dfew
from mien.corpora.enterface05 import Enterface05
from mien.corpora.ferv39k import Ferv39k
from mien.corpora.first_impressions import FirstImpressions
from mien.corpora.folder import Folder
from mien.corpora.lrs3 import LRS3
from mien.corpora.mafw import Mafw
from mien.corpora.options import from_texts
from mien.corpora.ravdess import Ravdess
from mien.corpora.recola import RECOLA
from mien.corpora.sewa import SEWA
from mien.corpora.synthetic.corpus import Synthetic
from mien.corpora.voxceleb2 import VoxCeleb2
from mien.corpora.werewolf_xl import WerewolfXL
from mien.errors import UserError

CORPORA: dict[str, type[Corpus]] = {
    "synthetic": Synthetic,
    "folder": Folder,
    "dfew": Dfew,
    "ferv39k": Ferv39k,
    "mafw": Mafw,
    "crema-d": CremaD,
    "ravdess": Ravdess,
    "enterface05": Enterface05,
    "werewolf-xl": WerewolfXL,
    "avcaffe": AVCAffe,
    "aff-wild2": AffWild2,
    "sewa": SEWA,
    "recola": RECOLA,
    "first-impressions": FirstImpressions,
    "voxceleb2": VoxCeleb2,
    "lrs3": LRS3,
}


def make_corpus(name: str, options: Sequence[str] = ()) -> Corpus:
    """The parser of a corpus, with its options given as ``KEY=VALUE``.

    Raises:
        UserError: no such corpus or option.
    """
    if name not in CORPORA:
        close = difflib.get_close_matches(name.lower().replace("_", "-"), CORPORA, 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise UserError(f"--corpus {name}: no such corpus; there are {', '.join(sorted(CORPORA))}{hint}")
    return from_texts(name, CORPORA[name], options)


def options_of(corpus: Corpus) -> dict[str, Any]:
    """The options in force, by name."""
    return asdict(corpus)  # type: ignore[call-overload]


def read_corpus(name: str, root: Path, options: Sequence[str] = ()) -> tuple[Corpus, Listing]:
    """Raises UserError: no such corpus, option or folder, or `root` is not this corpus."""
    corpus = make_corpus(name, options)
    if not root.is_dir():
        raise UserError(
            f"{root}: no such folder; give the folder of {name} as its authors lay it out (docs/corpora.md)"
        )
    return corpus, corpus.read(root)
