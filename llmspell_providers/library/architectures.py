"""Families of transformers' architectures, by `model_type` in `config.json`, where being of one decides something."""

from __future__ import annotations

T5 = frozenset({"t5", "mt5", "umt5", "longt5"})
RELATIVE = T5 - {"longt5"}
"""Decoders that see only distances between tokens, so that a row of a batch may begin anywhere."""
ENCODER_DECODERS = T5 | {"bart", "mbart", "pegasus", "marian"}
"""Those that keep keys and values of the question beside those of the reply."""
ENCODERS = frozenset({"bert", "roberta", "xlm-roberta", "distilbert", "mpnet", "nomic_bert", "modernbert"})
"""What makes embeddings where a checkpoint does not name the class that it was saved as."""
