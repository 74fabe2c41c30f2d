"""What the programs of the lecture have in common: facts and data, in plain Python and NumPy.

``jax_rnn`` and ``reference_torch`` import this package and do not import each other's. It holds the
words, symbols and hyperparameters of every lesson, the data sets with their checksums and their
split into training and held-out parts, and the batches.

- ``lessons``: the names of all lessons, in the order of the lecture, and finding one
- ``words``: the lessons on a word or a sentence
- ``char_lm``, ``surnames``, ``translation``: the lessons on data sets
- ``text``, ``names``, ``dates``: reading the data sets; ``files``: finding or downloading them
- ``recipe``: hyperparameters; ``shuffled``: batches of rows; ``vocabulary``: symbols and their ids
- ``bounds``: the best possible prediction; ``storage``: reading and writing files safely
"""
