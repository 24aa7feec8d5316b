"""Corpora: what the files of a data set say, as its authors lay them out."""

from typing import TYPE_CHECKING

from mien.lazy import lazy

if TYPE_CHECKING:
    from mien.corpora.corpus import Corpus as Corpus
    from mien.corpora.corpus import Entry as Entry
    from mien.corpora.corpus import FrameTargets as FrameTargets
    from mien.corpora.corpus import Listing as Listing
    from mien.corpora.record import CorpusRecord as CorpusRecord
    from mien.corpora.record import read_record as read_record
    from mien.corpora.table import CORPORA as CORPORA
    from mien.corpora.table import make_corpus as make_corpus
    from mien.corpora.table import read_corpus as read_corpus

__getattr__ = lazy(
    __name__,
    corpus="Corpus Entry FrameTargets Listing",
    table="CORPORA make_corpus read_corpus",
    record="CorpusRecord read_record",
)
