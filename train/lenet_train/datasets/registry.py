"""The forms that a user's data set may have. To add one: a module like these, and a line here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from lenet_train.datasets import arrays, csv_files, idx_files, pictures
from lenet_train.datasets.part import Parts


class Form(NamedTuple):
    """A form of data sets.

    Attributes:
        about: what a path to such a data set leads to, in a few words.
        recognizes: whether a path is such a data set, by names alone.
        read: the data set at a path; raises ``UserError``.
    """

    about: str
    recognizes: Callable[[Path], bool]
    read: Callable[[Path], Parts]


#: In the order in which they are asked. Beside pictures a CSV file may be a list of them.
FORMS = (
    Form("a folder of IDX files", idx_files.recognizes, idx_files.read),
    Form("a folder of class folders with pictures", pictures.recognizes, pictures.read),
    Form("a CSV file or a folder of them", csv_files.recognizes, csv_files.read),
    Form("an .npz file", arrays.recognizes, arrays.read),
)
ABOUT = ", ".join(form.about for form in FORMS)
