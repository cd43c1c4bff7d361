"""How accurate the cost models are: fits, folds and the ledger (docs/accuracy.md)."""
