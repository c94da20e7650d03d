"""From web text to fitted scaling laws: corpora, tokens, models, training, observations, laws, figures, report."""

__version__ = "0.1.0"
