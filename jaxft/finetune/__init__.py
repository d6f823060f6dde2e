"""Fine-tuning: labels and a parent potential in, a potential out; it does not know how the labels were chosen."""
