"""Strategies: which frame, which label, which fine-tune next."""
