"""Kernelspecs: the directories by which Jupyter knows this kernel."""
