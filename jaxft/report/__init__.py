"""Report: draws what analysis has computed. Computes nothing."""
