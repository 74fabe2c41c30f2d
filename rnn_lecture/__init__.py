"""What the programs of the lecture have in common: facts and data, in plain Python and NumPy.

``jax_rnn.lecture`` and ``reference_torch`` import this package and do not import each other's.

- ``lessons``: the names of all lessons, in the order of the lecture, and finding one
- ``facts``: name and data of a lesson, and the parts of its program in either framework
- ``words``: the lessons on a word or a sentence, and bounds on their losses
- ``char_lm``, ``surnames``, ``translation``: the lessons on data sets
- ``recipe``: hyperparameters; ``sampling``: how a model generates
"""
