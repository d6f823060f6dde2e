"""The whole run: sample, label, fine-tune, test, analyse, report; and going on where it stopped."""
