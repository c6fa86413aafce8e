"""Quantization: a checkpoint → executable classifiers, and asking them.

Enters: a checkpoint's folder, texts to calibrate and to check with.  Leaves: a variant's folder (ONNX file, tokenizer), and
`victim.Victim` or `ensembles.Ensemble`, which answer one text at a time.  May import: data, training.
"""
