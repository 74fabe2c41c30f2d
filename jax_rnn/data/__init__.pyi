from .batches import Batches, Repeated, Stream, as_batches
from .dataset import Data
from .dates import END, START, DateRows, Dates, read_dates
from .files import fetch, fetch_names
from .names import NameRows, Names, read_names
from .shuffled import Shuffled
from .text import Text, TextBatches, read_text
from .vocabulary import Vocabulary

__all__ = [
    "END",
    "START",
    "Batches",
    "Data",
    "DateRows",
    "Dates",
    "NameRows",
    "Names",
    "Repeated",
    "Shuffled",
    "Stream",
    "Text",
    "TextBatches",
    "Vocabulary",
    "as_batches",
    "fetch",
    "fetch_names",
    "read_dates",
    "read_names",
    "read_text",
]
