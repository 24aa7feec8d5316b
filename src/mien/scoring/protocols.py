"""Every protocol: which folds, what is measured, what the publications did, and what they printed.

Sources: SVFAP 4.2 to 4.4, MAE-DFER 4.1, SS-VAERR IV, the ABAW5 solution; what their code does
(decisions: scored-checkpoint, data-set-lists, regression-settings, single-frame-settings).
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

from mien.errors import UserError
from mien.scoring import published
from mien.scoring.published import Row

LAST = "the last epoch; the test list also served as validation list, but nothing reported was chosen by it"


@dataclass(frozen=True)
class Protocol:
    """How a benchmark is scored.

    Args:
        corpus: name for ``mien prepare --corpus``.
        targets: manifest columns (per frame: columns of the shards).
        metrics: of the paper's table, in its order; "ccc:arousal" is one target, "ccc" the mean.
        folds: manifest columns that say train and test, one for each fold.
        test: value of these columns that is tested on.
        published_select: what the publication did: "last" epoch, or the best on the list it reports on ("test").
        selection: the same in words.
        group_by: manifest column whose clips are averaged to one prediction.
        options: of the corpus, KEY=VALUE.
        independent: what the folds keep apart, as published; "" where they keep nothing apart.
        recipe: with the paper's settings.
    """

    name: str
    title: str
    corpus: str
    targets: tuple[str, ...]
    metrics: tuple[str, ...]
    published: tuple[Row, ...]
    kind: Literal["categorical", "dimensional", "traits"] = "categorical"
    per: Literal["clip", "frame"] = "clip"
    folds: tuple[str, ...] = ("split",)
    test: str = "test"
    published_select: Literal["last", "test"] = "last"
    selection: str = LAST
    group_by: str | None = None
    options: tuple[str, ...] = ()
    independent: str = ""
    digits: int = 2
    recipe: str = "classify"

    @property
    def classes(self) -> bool:
        """It is of classifiers."""
        return self.kind == "categorical"

    def fold_name(self, column: str) -> str:
        return column if column.startswith("fold_") else "fold_1"


def _folds(count: int) -> tuple[str, ...]:
    return tuple(f"fold_{k}" for k in range(1, count + 1))


_UW = ("uar", "war")
_BIG_FIVE = ("openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism")
_UNSAID = "not said in the paper; the last epoch, as its sibling's code does"
_REPORTED = "not said in the paper, which reports on the {} set; the last epoch is taken"

_ALL = (
    Protocol("dfew", "DFEW, 7 expressions, 5 folds pooled", "dfew", ("label",), _UW, published.DFEW, folds=_folds(5)),
    Protocol("ferv39k", "FERV39k, 7 expressions", "ferv39k", ("label",), _UW, published.FERV39K,
             recipe="classify-ferv39k"),
    Protocol("mafw", "MAFW, 11 expressions, 5 folds pooled", "mafw", ("label",), _UW, published.MAFW, folds=_folds(5)),
    Protocol("crema-d", "CREMA-D, 6 emotions, 5 folds by actor, pooled", "crema-d", ("label",), _UW, published.CREMA_D,
             folds=_folds(5), independent="subjects"),
    Protocol("ravdess", "RAVDESS, 8 emotions, 6 folds by actor, pooled", "ravdess", ("label",), _UW, published.RAVDESS,
             folds=_folds(6), independent="subjects"),
    Protocol("enterface05", "eNTERFACE05, 6 emotions, 5 folds by subject, pooled", "enterface05", ("label",), _UW,
             published.ENTERFACE05, folds=_folds(5), independent="subjects"),
    Protocol("werewolf-xl", "Werewolf-XL, speakers, 5 folds by session, pooled", "werewolf-xl",
             ("arousal", "valence", "dominance"),
             ("pcc:arousal", "ccc:arousal", "pcc:valence", "ccc:valence", "pcc:dominance", "ccc:dominance"),
             published.WEREWOLF_XL, kind="dimensional", folds=_folds(5), independent="session", digits=4, selection=_UNSAID,
             recipe="regress-werewolf-xl"),
    Protocol("avcaffe-arousal", "AVCAffe, arousal in 5 classes, clips averaged to the video", "avcaffe", ("arousal",),
             ("weighted_f1",), published.AVCAFFE_AROUSAL, folds=("fold_1",), group_by="video", independent="subjects",
             selection=_REPORTED.format("official validation")),
    Protocol("avcaffe-valence", "AVCAffe, valence in 5 classes, clips averaged to the video", "avcaffe", ("valence",),
             ("weighted_f1",), published.AVCAFFE_VALENCE, folds=("fold_1",), group_by="video", independent="subjects",
             selection=_REPORTED.format("official validation")),
    Protocol("first-impressions", "ChaLearn First Impressions v2, apparent personality", "first-impressions", _BIG_FIVE,
             (*(f"ccc:{t}" for t in _BIG_FIVE), "ccc", "one_minus_mae"), published.FIRST_IMPRESSIONS, kind="traits", digits=4,
             selection=_UNSAID, recipe="regress-first-impressions"),
    Protocol("aff-wild2-expr", "Aff-Wild2, 8 expressions of every frame, official validation set", "aff-wild2",
             ("expression",), ("macro_f1",), published.AFF_WILD2_EXPR, per="frame", folds=("fold_1",),
             published_select="test", options=("task=expr",), recipe="frames", independent="subjects",
             selection="best mean F1 on the reported list itself"),
    Protocol("aff-wild2-va", "Aff-Wild2, valence and arousal of every frame, official validation set", "aff-wild2",
             ("valence", "arousal"), ("ccc_biased:valence", "ccc_biased:arousal", "ccc_biased"), (), kind="dimensional",
             per="frame", folds=("fold_1",), options=("task=va",), independent="subjects", digits=4, recipe="regress",
             selection="none of our papers has this number; the last epoch is taken"),
    Protocol("sewa", "SEWA, CCC over the concatenated test videos", "sewa", ("arousal", "valence"),
             ("ccc:arousal", "ccc:valence"), published.SEWA, kind="dimensional", per="frame", independent="subjects", digits=3,
             selection="not said in the paper; the last epoch is taken", recipe="sequence-sewa"),
    Protocol("recola", "RECOLA, CCC over the concatenated development videos", "recola", ("arousal", "valence"),
             ("ccc:arousal", "ccc:valence"), published.RECOLA, kind="dimensional", per="frame", test="val", digits=3,
             independent="subjects", selection=_REPORTED.format("development"), recipe="sequence-recola"),
)  # fmt: skip

PROTOCOLS: dict[str, Protocol] = {p.name: p for p in _ALL}


def find_protocol(name: str) -> Protocol:
    """Raises UserError: no such protocol."""
    if name in PROTOCOLS:
        return PROTOCOLS[name]
    close = difflib.get_close_matches(name.lower().replace("_", "-"), PROTOCOLS, 1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise UserError(f"no protocol {name!r}; there are {', '.join(PROTOCOLS)}{hint}")


def chosen_folds(protocol: Protocol, fold: str) -> tuple[str, ...]:
    """Manifest columns of ``all`` folds or of one, by number. Raises UserError for another word."""
    if fold == "all":
        return protocol.folds
    if fold.isdigit() and 1 <= int(fold) <= len(protocol.folds):
        return (protocol.folds[int(fold) - 1],)
    raise UserError(f"--fold {fold}: {protocol.name} has folds 1 to {len(protocol.folds)}; or give all")
