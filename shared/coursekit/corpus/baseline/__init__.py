"""What plain code retrieves from a corpus: the baselines that a learner's system has to beat.

Eleven methods (`METHODS`), from BM25 to a tuned hybrid, on the golden questions; measures with bootstrap intervals.
`measure` gives the numbers, `ranked` one method's rankings, `pools` the documents that judges should see.
`course corpus baseline` prints the tables and writes the generated section of docs/corpus.md.

    pieces.py      documents -> pieces of about 120 words
    lexical.py     BM25, plain and stemmed
    fulltext.py    Postgres full text: AND, OR with two ranking functions
    vectors.py     cosine of embeddings
    fusion.py      reciprocal rank fusion, convex combination
    retrieval.py   all of them on one corpus: scores, rankings, the choice of alpha, pools
    measures.py    ir_measures over rankings
    resampling.py  bootstrap intervals
    baselines.py   the results, as records that can be compared
    page.py, tables.py, picture.py   the same results as Markdown, in the terminal, as a picture

Nothing of this is what a learner writes or imports: pieces are cut without regard to structure and nothing is tuned,
except one number on the dev questions.
"""

from coursekit.corpus.baseline.baselines import Baselines, Difference, Estimate, MethodResult, measure
from coursekit.corpus.baseline.page import SECTION, markdown
from coursekit.corpus.baseline.picture import save_picture
from coursekit.corpus.baseline.retrieval import HYBRIDS, METHODS, SINGLES, pools, ranked
from coursekit.corpus.baseline.tables import main_table, progress_line

__all__ = [
    "HYBRIDS",
    "METHODS",
    "SECTION",
    "SINGLES",
    "Baselines",
    "Difference",
    "Estimate",
    "MethodResult",
    "main_table",
    "markdown",
    "measure",
    "pools",
    "progress_line",
    "ranked",
    "save_picture",
]
