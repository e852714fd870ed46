"""Cells of frontends that were run, kept for those that come later."""
