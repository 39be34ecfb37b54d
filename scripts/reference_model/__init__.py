"""How the bundled model `sna-reference` is made: text, tokenizer, training, checks and card.

The entry point is `scripts/train_reference_model.py`; the modules here hold one step each, in the
order `sources` -> `mixture` -> `documents` -> `tokenizer` -> `packing` -> `training` -> `probes`
-> `shipping` -> `card`. Nothing here is imported by the installed package.
"""
