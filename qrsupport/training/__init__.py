"""Training: a backbone and splits → a checkpoint.

Enters: a backbone (pretrained, the package's own small ones, or the reader's), splits, more examples for adversarial
training.  Leaves: a folder with weights, tokenizer, learning curve and card.  May import: data.
"""
