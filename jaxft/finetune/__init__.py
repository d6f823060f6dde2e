"""Fine-tuning: labelled structures in, new parameters out. Does not know how the structures were chosen."""
